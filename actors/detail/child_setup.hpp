// What a child does to itself between vfork and exec: an initializer for vfork_launcher.
//
// It runs in the master's memory on the host's thread: only async-signal-safe calls, no allocation, no exception.
#pragma once

#include <cluster_channel/actors/detail/cpus.hpp>
#include <cluster_channel/actors/detail/vfork_launcher.hpp>

#include <climits>
#include <sys/types.h>

namespace cluster_channel::detail {

/// Numbers of the child's descriptors: its link, and where it reports a failed exec.
inline constexpr int child_link_fd = 3;
inline constexpr int child_report_fd = 4;

/// What is told of a launch that failed before exec.
enum launch_step : int { step_exec, step_descriptors, step_null, step_group, step_directory };

/// Everything it points to must live until the launcher returns; descriptors are `launch_fd_least` or above.
struct child_setup {
  const char* const* env = nullptr;
  int link = -1;
  int out = -1;                    ///< becomes stdout; -1: the master's
  int err = -1;                    ///< becomes stderr; -1: the master's
  const char* directory = nullptr; ///< where it starts; nullptr: the master's
  pid_t master = 0;
  const char* image = nullptr;   ///< the file to execute; nullptr: the one that the launcher is given
  bool masters_stdin = false;    ///< else stdin is /dev/null
  bool own_group = true;         ///< leads a process group of its own
  const cpu_set* cpus = nullptr; ///< where it may run; nullptr: where the launching thread may

  boost::system::error_code on_setup(vfork_launcher& launcher, const boost::process::v2::filesystem::path&,
                                     const char* const*&) const;

  boost::system::error_code on_exec_setup(vfork_launcher& launcher, const boost::process::v2::filesystem::path&,
                                          const char* const*&) const noexcept;
};

/// Whether a standard descriptor is the process' own, or closed, or just the number of something else that exec closes.
/// Async-signal-safe.
bool is_standard_fd(int fd) noexcept;

/// Closes the open descriptors from `first` to `last` one by one, for a kernel without close_range(2) (before 5.9) or a
/// sandbox that forbids it. Async-signal-safe.
void close_each_from(int first, int last = INT_MAX) noexcept;

} // namespace cluster_channel::detail
