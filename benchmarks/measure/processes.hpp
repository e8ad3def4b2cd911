// What the system says of processes: memory, CPU time, wake-ups, children; and on which CPUs they run.
#pragma once

#include <cstddef>
#include <sched.h>
#include <string>
#include <sys/types.h>
#include <vector>

namespace bench {

double rss_bytes(pid_t pid);

/// Gives what this process has freed back to the system, so that the growth of its memory can be seen.
void trim_memory();

/// CPU time of all threads so far, of those that have ended too.
double cpu_seconds(pid_t pid);

/// How often threads that live now have gone to sleep and were woken.
double wakeups(pid_t pid);

std::vector<pid_t> children_of(pid_t pid);

/// The processes of one system: who calls, and who answers.
struct process_group {
  pid_t master = 0;
  std::vector<pid_t> nodes;
};

double rss_bytes(const process_group& group);
double cpu_seconds(const process_group& group);
double wakeups(const process_group& group);

/// Where both ends run.
enum class pin_mode {
  free,  ///< where the system puts them
  one,   ///< all threads of both ends on one CPU
  apart, ///< all threads of the master on one CPU, those of the nodes on another
};

const char* name_of(pin_mode mode);

/// While it lives, this process runs where `mode` says. What it starts meanwhile inherits the master's CPU: `apply`
/// moves the nodes to theirs.
class pinned {
public:
  explicit pinned(pin_mode mode);
  pinned(const pinned&) = delete;
  pinned& operator=(const pinned&) = delete;
  ~pinned();

  void apply(const process_group& group) const;

  /// Whether this process may use as many CPUs as the mode needs.
  static bool is_possible(pin_mode mode);

private:
  pin_mode mode_;
  cpu_set_t before_;
  cpu_set_t master_;
  cpu_set_t nodes_;
};

/// "one core" or "apart": where the main threads of the master and its only node ran last, for those who are not
/// pinned.
std::string seen_mode(const process_group& group);

/// A stopped process, until this goes.
class stopped {
public:
  explicit stopped(const std::vector<pid_t>& pids);
  stopped(const stopped&) = delete;
  stopped& operator=(const stopped&) = delete;
  ~stopped();

private:
  std::vector<pid_t> pids_;
};

} // namespace bench
