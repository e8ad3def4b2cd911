// The CPUs that this process may use.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <sched.h>
#include <vector>

namespace cluster_channel::detail {

/// A set of CPUs, for machines of any size (CPU_ALLOC(3)).
class cpu_set {
public:
  /// What the main thread of this process may run on: what `taskset -p` shows, whatever the calling thread was pinned
  /// to. Empty if the system does not say.
  static cpu_set of_process();

  std::size_t count() const noexcept;

  /// Lets the calling thread run on them; does nothing if there are none. Async-signal-safe.
  void use() const noexcept;

private:
  std::vector<cpu_set_t> bits_;
};

/// What the control groups of this process let it use, in CPUs: the least `quota / period` of its own and those above,
/// v2 (cpu.max) and v1 (cpu.cfs_quota_us). Empty if there is no quota. `root`: where proc and sys are found.
std::optional<double> cpu_quota(const std::filesystem::path& root = "/");

/// How many CPUs this process may use: of `cpu_set::of_process`, and no more than `cpu_quota`, rounded up. At least 1.
std::size_t usable_cpus();

} // namespace cluster_channel::detail
