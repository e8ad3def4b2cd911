// Tells a forked copy of a process from the process itself.
//
// fork(2) copies the memory, but only the thread that called it. What waits for other threads, or owns processes and
// links that the original goes on using, must do nothing at all in the copy: see docs/design.md, "Forked copies".
// A copy that then makes objects of its own can use those as usual.
#pragma once

#include <atomic>

namespace cluster_channel::detail {

/// A member of each object that has threads, processes or links: knows the process in which it was made.
class fork_mark {
public:
  fork_mark() noexcept;

  /// Whether this process is a copy, made by fork(2), of the one in which the mark was made. Costs one load, where
  /// getpid(2) is a system call; does not see what clone(2) makes by itself.
  bool in_copy() const noexcept { return made_in_ != generation.load(std::memory_order_relaxed); }

private:
  /// Counts the forks that led to this process. A variable of the process, as that is what it describes.
  static std::atomic<unsigned> generation;

  unsigned made_in_;
};

} // namespace cluster_channel::detail
