# cmake -DBUILD_DIR=… -DSOURCE_DIR=… -DWORK_DIR=… -DCXX_COMPILER=… -P install_test.cmake
file(REMOVE_RECURSE "${WORK_DIR}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN} failed:\n${output}")
  endif()
  message("${output}")
endfunction()

run(${CMAKE_COMMAND} --install "${BUILD_DIR}" --prefix "${WORK_DIR}/prefix")
set(flags "")
if(SANITIZERS)
  set(flags "-fsanitize=${SANITIZERS}")
endif()
run(${CMAKE_COMMAND} -G Ninja -S "${SOURCE_DIR}" -B "${WORK_DIR}/build"
  "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}" "-DCMAKE_CXX_FLAGS=${flags}")
run(${CMAKE_COMMAND} --build "${WORK_DIR}/build")
run("${WORK_DIR}/build/consumer")

# The headers and the program warn under no compiler and standard; once is enough.
if(NOT SANITIZERS)
  file(GLOB_RECURSE headers RELATIVE "${WORK_DIR}/prefix/include" "${WORK_DIR}/prefix/include/*.hpp")
  set(text "")
  foreach(header IN LISTS headers)
    string(APPEND text "#include <${header}>\n")
  endforeach()
  file(WRITE "${WORK_DIR}/everything.cpp" "${text}#include \"${SOURCE_DIR}/main.cpp\"\n")
  foreach(compiler IN ITEMS g++ clang++)
    find_program(found_${compiler} ${compiler})
    foreach(standard IN ITEMS c++20 c++2b)
      if(found_${compiler})
        run(${found_${compiler}} -std=${standard} -fsyntax-only -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion
          -Wshadow -Wmissing-field-initializers -Werror "-I${WORK_DIR}/prefix/include" "${WORK_DIR}/everything.cpp")
      endif()
    endforeach()
  endforeach()
endif()
