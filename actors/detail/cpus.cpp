#include <cluster_channel/actors/detail/cpus.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace cluster_channel::detail {

namespace {

namespace fs = std::filesystem;

/// No machine has more than so many times CPU_SETSIZE.
constexpr std::size_t sets_max = 64;

/// The two numbers in a file of a control group, "max 100000" or "-1": no quota.
std::optional<double> quota_in(std::istream&& quota, std::istream&& period) {
  double allowed = 0;
  double each = 0;
  if (!(quota >> allowed) || !(period >> each) || allowed <= 0 || each <= 0)
    return std::nullopt;
  return allowed / each;
}

std::optional<double> quota_v2(const fs::path& group) {
  std::ifstream in{group / "cpu.max"};
  double allowed = 0;
  double each = 0;
  if (!(in >> allowed >> each) || allowed <= 0 || each <= 0)
    return std::nullopt;
  return allowed / each;
}

std::optional<double> quota_v1(const fs::path& group) {
  return quota_in(std::ifstream{group / "cpu.cfs_quota_us"}, std::ifstream{group / "cpu.cfs_period_us"});
}

/// The least quota of `group` and of those above it. In a container the names may be those outside: what is not there
/// is passed over.
template <class Quota>
std::optional<double> least_quota(const fs::path& mount, const fs::path& group, Quota quota_of) {
  std::optional<double> result;
  for (auto at = group.relative_path();; at = at.parent_path()) {
    if (const auto quota = quota_of(mount / at); quota && (!result || *quota < *result))
      result = quota;
    if (at.empty())
      return result;
  }
}

bool lists_cpu(std::string_view controllers) {
  for (;;) {
    const auto end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == "cpu")
      return true;
    if (end == controllers.size())
      return false;
    controllers.remove_prefix(end + 1);
  }
}

} // namespace

cpu_set cpu_set::of_process() {
  cpu_set result;
  for (const auto of : {::getpid(), pid_t{0}}) // 0: the calling thread, should the main thread have ended
    for (std::size_t sets = 1; sets <= sets_max; sets *= 2) {
      result.bits_.assign(sets, cpu_set_t{});
      if (::sched_getaffinity(of, sets * sizeof(cpu_set_t), result.bits_.data()) == 0)
        return result;
      if (errno != EINVAL) // EINVAL: the machine has more CPUs than that
        break;
    }
  result.bits_.clear();
  return result;
}

std::size_t cpu_set::count() const noexcept {
  return bits_.empty() ? 0 : static_cast<std::size_t>(CPU_COUNT_S(bits_.size() * sizeof(cpu_set_t), bits_.data()));
}

void cpu_set::use() const noexcept {
  if (!bits_.empty())
    ::sched_setaffinity(0, bits_.size() * sizeof(cpu_set_t), bits_.data());
}

std::optional<double> cpu_quota(const fs::path& root) {
  std::optional<double> result;
  const auto at_most = [&](std::optional<double> quota) {
    if (quota && (!result || *quota < *result))
      result = quota;
  };
  const auto mounts = root / "sys/fs/cgroup";
  std::ifstream groups{root / "proc/self/cgroup"};
  for (std::string line; std::getline(groups, line);) { // number:controllers:path, cgroups(7)
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const fs::path group{line.substr(second + 1)};
    if (controllers.empty()) {
      at_most(least_quota(mounts, group, quota_v2));
      at_most(least_quota(mounts / "unified", group, quota_v2));
    } else if (lists_cpu(controllers)) {
      std::error_code ignored;
      const auto mount = fs::exists(mounts / controllers, ignored) ? mounts / controllers : mounts / "cpu";
      at_most(least_quota(mount, group, quota_v1));
    }
  }
  return result;
}

std::size_t usable_cpus() {
  std::size_t result = cpu_set::of_process().count();
  if (result == 0)
    result = std::thread::hardware_concurrency();
  if (const auto quota = cpu_quota(); quota && *quota < static_cast<double>(result))
    result = static_cast<std::size_t>(std::ceil(*quota));
  return std::max<std::size_t>(1, result);
}

} // namespace cluster_channel::detail
