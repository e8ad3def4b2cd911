# Takes the C++ code out of Markdown pages, so that tests can build and run it.
#
# Pages are cut by position and never become CMake lists, which would split at the semicolons of C++.

# page_read(page text): reads a page, now and whenever it changes.
function(page_read page text)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${page}")
  file(READ "${page}" content)
  set(${text} "${content}" PARENT_SCOPE)
endfunction()

# page_take(text_variable begin end found): what stands between the first `begin` in that text and the next `end` after
# it; the text is cut off before that `end`. ${found} is empty if there is no such place.
function(page_take text_variable begin end found)
  set(result "")
  string(FIND "${${text_variable}}" "${begin}" first)
  if(NOT first EQUAL -1)
    string(LENGTH "${begin}" length)
    math(EXPR first "${first} + ${length}")
    string(SUBSTRING "${${text_variable}}" ${first} -1 rest)
    string(FIND "${rest}" "${end}" last)
    string(SUBSTRING "${rest}" 0 ${last} result)
    if(last EQUAL -1)
      set(rest "")
    else()
      string(SUBSTRING "${rest}" ${last} -1 rest)
    endif()
    set(${text_variable} "${rest}" PARENT_SCOPE)
  endif()
  set(${found} "${result}" PARENT_SCOPE)
endfunction()

# page_take_block(text_variable code): the next ```cpp block.
function(page_take_block text_variable code)
  set(rest "${${text_variable}}")
  page_take(rest "\n```cpp\n" "\n```" found)
  set(${text_variable} "${rest}" PARENT_SCOPE)
  set(${code} "${found}" PARENT_SCOPE)
endfunction()

# page_write(file code): for a target to build; unchanged code leaves the file alone.
function(page_write file code)
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${file}" CONTENT "${code}\n" @ONLY)
endfunction()

# page_table_code(text_variable heading code): the second column of the table below `heading`, each row a line of code.
# Every row below the head has code there, in backticks.
function(page_table_code text_variable heading code)
  set(rest "${${text_variable}}")
  page_take(rest "\n${heading}\n" "\n|--" before)
  page_take(rest "\n|--" "\n\n" table)
  if(before STREQUAL "")
    message(FATAL_ERROR "no table below \"${heading}\"")
  endif()
  set(table "${table}\n")
  set(lines "")
  page_take(table "\n|" "\n" row)
  while(NOT row STREQUAL "")
    set(cells "${row}\n")
    page_take(cells " | `" "` |" cell)
    if(cell STREQUAL "")
      message(FATAL_ERROR "a row below \"${heading}\" has no code in its second column: ${row}")
    endif()
    string(APPEND lines "${cell}\n")
    page_take(table "\n|" "\n" row)
  endwhile()
  set(${code} "${lines}" PARENT_SCOPE)
endfunction()
