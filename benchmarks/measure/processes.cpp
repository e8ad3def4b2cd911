#include "measure/processes.hpp"

#include <algorithm>
#include <cctype>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <sstream>
#include <unistd.h>

namespace bench {

namespace {

namespace fs = std::filesystem;

fs::path proc(pid_t pid) {
  return fs::path{"/proc"} / std::to_string(pid);
}

std::vector<pid_t> numbered_entries(const fs::path& folder) {
  std::vector<pid_t> result;
  std::error_code ignored; // a process may end meanwhile
  for (fs::directory_iterator at{folder, ignored}, end; at != end; at.increment(ignored)) {
    const auto name = at->path().filename().string();
    if (std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; }))
      result.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return result;
}

std::vector<pid_t> threads_of(pid_t pid) {
  return numbered_entries(proc(pid) / "task");
}

/// Field `number` of /proc/<pid>/stat, counted from 1 as in proc(5), from the third on.
std::string stat_field(pid_t pid, int number) {
  std::ifstream in{proc(pid) / "stat"};
  std::string line;
  std::getline(in, line);
  std::istringstream rest{line.substr(std::min(line.size(), line.rfind(')') + 1))}; // the name may hold spaces
  std::string field;
  for (int i = 3; i <= number; ++i)
    rest >> field;
  return field;
}

cpu_set_t cpus_of(pid_t pid) {
  cpu_set_t result;
  CPU_ZERO(&result);
  ::sched_getaffinity(pid, sizeof result, &result);
  return result;
}

void move_to(pid_t pid, const cpu_set_t& cpus) {
  for (const auto thread : threads_of(pid))
    ::sched_setaffinity(thread, sizeof cpus, &cpus);
}

/// The set of the one CPU that comes `nth` in `of`.
cpu_set_t nth_cpu(const cpu_set_t& of, int nth) {
  cpu_set_t result;
  CPU_ZERO(&result);
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &of) && nth-- == 0)
      CPU_SET(cpu, &result);
  return result;
}

template <class F>
double sum(const process_group& group, F of) {
  double result = of(group.master);
  for (const auto pid : group.nodes)
    result += of(pid);
  return result;
}

} // namespace

double rss_bytes(pid_t pid) {
  std::ifstream in{proc(pid) / "statm"};
  double size = 0;
  double resident = 0;
  in >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void trim_memory() {
  ::malloc_trim(0);
}

double cpu_seconds(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double wakeups(pid_t pid) {
  constexpr std::string_view name = "voluntary_ctxt_switches:";
  double result = 0;
  for (const auto thread : threads_of(pid)) {
    std::ifstream in{proc(pid) / "task" / std::to_string(thread) / "status"};
    for (std::string line; std::getline(in, line);)
      if (line.starts_with(name))
        result += std::stod(line.substr(name.size()));
  }
  return result;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> result;
  for (const auto each : numbered_entries("/proc"))
    if (stat_field(each, 4) == std::to_string(pid) && stat_field(each, 3) != "Z")
      result.push_back(each);
  std::sort(result.begin(), result.end());
  return result;
}

double rss_bytes(const process_group& group) {
  return sum(group, [](pid_t pid) { return rss_bytes(pid); });
}

double cpu_seconds(const process_group& group) {
  return sum(group, [](pid_t pid) { return cpu_seconds(pid); });
}

double wakeups(const process_group& group) {
  return sum(group, [](pid_t pid) { return wakeups(pid); });
}

const char* name_of(pin_mode mode) {
  switch (mode) {
  case pin_mode::one:
    return "one core";
  case pin_mode::apart:
    return "apart";
  case pin_mode::free:
    break;
  }
  return "free";
}

pinned::pinned(pin_mode mode) : mode_{mode}, before_{cpus_of(0)} {
  master_ = nodes_ = before_;
  if (mode_ == pin_mode::free)
    return;
  master_ = nth_cpu(before_, 0);
  nodes_ = nth_cpu(before_, mode_ == pin_mode::apart ? 1 : 0);
  move_to(::getpid(), master_);
}

pinned::~pinned() {
  if (mode_ != pin_mode::free)
    move_to(::getpid(), before_);
}

void pinned::apply(const process_group& group) const {
  if (mode_ == pin_mode::free)
    return;
  move_to(group.master, master_);
  for (const auto pid : group.nodes)
    move_to(pid, nodes_);
}

bool pinned::is_possible(pin_mode mode) {
  const auto cpus = cpus_of(0);
  return mode != pin_mode::apart || CPU_COUNT(&cpus) > 1;
}

std::string seen_mode(const process_group& group) {
  constexpr int processor = 39;
  if (group.nodes.size() != 1)
    return {};
  return stat_field(group.master, processor) == stat_field(group.nodes.front(), processor) ? name_of(pin_mode::one)
                                                                                           : name_of(pin_mode::apart);
}

stopped::stopped(const std::vector<pid_t>& pids) : pids_{pids} {
  for (const auto pid : pids_)
    ::kill(pid, SIGSTOP);
}

stopped::~stopped() {
  for (const auto pid : pids_)
    ::kill(pid, SIGCONT);
}

} // namespace bench
