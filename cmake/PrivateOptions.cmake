# cluster_channel_private_options(target): warnings and sanitizers for our own code, never for its users.
function(cluster_channel_private_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow$<$<CXX_COMPILER_ID:GNU>:=local> -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wunused
    # Tests may leave out members of their own aggregates. For ours that never warns: see tests/install and tests/readme.
    -Wno-missing-field-initializers
    # GCC 12 sees uninitialized reads in std::variant and caf::optional that are not there once it inlines.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    # GCC 12 sees overlaps in "text" + std::string that cannot be (its bug 105651).
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    # In a batch of sources each is an included file, and GCC takes it for a header that others share.
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wno-subobject-linkage>
    $<$<BOOL:${CLUSTER_CHANNEL_WARNINGS_AS_ERRORS}>:-Werror>)
  if(CLUSTER_CHANNEL_SANITIZERS MATCHES "thread")
    # ThreadSanitizer does not follow fences. The only ones, in Asio's handlers, stand beside a mutex that it does follow.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
  if(CLUSTER_CHANNEL_SANITIZERS)
    target_compile_options(${target} PRIVATE -fsanitize=${CLUSTER_CHANNEL_SANITIZERS} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${CLUSTER_CHANNEL_SANITIZERS})
  endif()
endfunction()
