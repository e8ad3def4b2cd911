// What tests of process hosts share: children that are one-line scripts, and logs of what hosts and children say.
#pragma once

#include <cluster_channel/actors/process_host.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace cluster_channel {

inline constexpr auto patience = std::chrono::seconds{60};

constexpr exit_status exited(int code) {
  return {false, code};
}

constexpr exit_status killed_by(int signo) {
  return {true, signo};
}

inline process_spec shell(std::string script, std::vector<std::string> args = {}) {
  process_spec result{.executable = "/bin/sh", .args = {"-c", std::move(script), "sh"}};
  result.args.insert(result.args.end(), args.begin(), args.end());
  return result;
}

/// Keeps what a host says, and the links it gives away.
class event_log {
public:
  event_log() = default;
  event_log(const event_log&) = delete;
  event_log& operator=(const event_log&) = delete;

  ~event_log() {
    for (const auto& event : events_)
      if (const auto* started = std::get_if<process_started>(&event); started && started->link_fd >= 0)
        ::close(started->link_fd);
  }

  process_listener listener() {
    return [this](process_event event) {
      std::lock_guard guard{mutex_};
      events_.push_back(std::move(event));
      changed_.notify_all();
    };
  }

  /// The event of this type for `node`; throws if it does not come in time.
  template <class Event>
  Event wait_for(node_id node) {
    std::unique_lock lock{mutex_};
    const Event* found = nullptr;
    const auto came = changed_.wait_for(lock, patience, [&] { return (found = find<Event>(node)) != nullptr; });
    if (!came)
      throw std::runtime_error{"no such event for node " + std::to_string(node)};
    return *found;
  }

  /// The event with this index, counted over all nodes; throws if it does not come in time.
  process_event wait_for_index(std::size_t index) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, patience, [&] { return events_.size() > index; }))
      throw std::runtime_error{"no event " + std::to_string(index)};
    return events_[index];
  }

  /// Closes the master's end of the link of `node`.
  void close_link(node_id node) {
    std::lock_guard guard{mutex_};
    for (auto& event : events_)
      if (auto* started = std::get_if<process_started>(&event); started && started->node == node)
        ::close(std::exchange(started->link_fd, -1));
  }

  std::vector<process_event> all() {
    std::lock_guard guard{mutex_};
    return events_;
  }

  template <class Event>
  std::size_t count() {
    const auto events = all();
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.end(), [](const process_event& event) { return std::holds_alternative<Event>(event); }));
  }

private:
  template <class Event>
  const Event* find(node_id node) const {
    for (const auto& event : events_)
      if (const auto* found = std::get_if<Event>(&event); found && found->node == node)
        return found;
    return nullptr;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<process_event> events_;
};

/// Keeps what children print.
class line_log {
public:
  output_callback callback() {
    return [this](const output_line& line) {
      std::lock_guard guard{mutex_};
      lines_.push_back(line);
      changed_.notify_all();
    };
  }

  std::vector<output_line> wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, patience, [&] { return lines_.size() >= count; }))
      throw std::runtime_error{"only " + std::to_string(lines_.size()) + " lines"};
    return lines_;
  }

  std::vector<output_line> all() {
    std::lock_guard guard{mutex_};
    return lines_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<output_line> lines_;
};

inline std::vector<std::string> texts_of(const std::vector<output_line>& lines) {
  std::vector<std::string> result;
  for (const auto& line : lines)
    result.push_back(line.text);
  return result;
}

/// One process from launch to end, with what it printed.
struct run {
  exit_status status;
  std::vector<std::string> lines;
};

inline run run_to_end(process_spec spec) {
  event_log events;
  line_log lines;
  spec.on_output = lines.callback();
  auto host = make_process_host(std::move(spec), events.listener());
  host->launch(1);
  events.wait_for<process_started>(1);
  const auto status = events.wait_for<process_exited>(1).status;
  host.reset();
  return {status, texts_of(lines.all())};
}

/// One launch that fails.
inline process_failed fail_to_launch(process_spec spec) {
  event_log events;
  auto host = make_process_host(std::move(spec), events.listener());
  host->launch(1);
  auto result = events.wait_for<process_failed>(1);
  host.reset();
  EXPECT_EQ(events.all().size(), 1U);
  return result;
}

inline std::string text_of(const process_failed& failed) {
  return failure_of(failed.cause).text;
}

/// Whether the kernel tells how a process ended that somebody else has reaped (Linux 6.15).
inline bool kernel_tells_exits() {
  utsname name{};
  int major = 0;
  int minor = 0;
  return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 15));
}

/// Whether every child of this process was reaped.
inline bool no_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

/// The descriptors of process `pid`; 0: of this one.
inline std::set<int> open_fds(pid_t pid = 0) {
  std::set<int> result;
  const auto process = pid == 0 ? "self" : std::to_string(pid);
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/" + process + "/fd", ec})
    result.insert(std::stoi(entry.path().filename().string()));
  if (pid == 0)
    std::erase_if(result, [](int fd) { return ::fcntl(fd, F_GETFD) < 0; }); // that of the iteration itself
  return result;
}

inline std::string read_all(int fd) {
  std::string result;
  char buffer[4096];
  for (;;) {
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n > 0)
      result.append(buffer, static_cast<std::size_t>(n));
    else if (n == 0 || errno != EINTR)
      return result;
  }
}

/// Two connected descriptors, close-on-exec.
struct fd_pair {
  int fds[2];
  int read() const { return fds[0]; }
  int write() const { return fds[1]; }
};

inline fd_pair make_pipe() {
  fd_pair result{};
  if (::pipe2(result.fds, O_CLOEXEC) != 0)
    throw std::runtime_error{"pipe2"};
  return result;
}

/// Puts another file in the place of a descriptor for a while.
class replaced_fd {
public:
  replaced_fd(int number, int with) : number_{number}, saved_{::fcntl(number, F_DUPFD_CLOEXEC, 50)} {
    ::dup2(with, number);
  }
  replaced_fd(const replaced_fd&) = delete;
  replaced_fd& operator=(const replaced_fd&) = delete;
  ~replaced_fd() {
    ::dup2(saved_, number_);
    ::close(saved_);
  }

private:
  int number_;
  int saved_;
};

/// A fresh directory, removed in the end.
class temporary_directory {
public:
  temporary_directory() {
    auto name = (std::filesystem::temp_directory_path() / "process_host_test_XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw std::runtime_error{"mkdtemp"};
    path_ = name;
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

  /// Makes a file in it and returns its path.
  std::string file(const std::string& name, const std::string& content, ::mode_t mode) const {
    auto result = (path_ / name).string();
    std::ofstream{result} << content;
    ::chmod(result.c_str(), mode);
    return result;
  }

private:
  std::filesystem::path path_;
};

/// Sets an environment variable for a while.
class set_variable {
public:
  set_variable(const char* name, const char* value) : name_{name} {
    if (const auto* old = std::getenv(name))
      saved_ = old;
    ::setenv(name, value, 1);
  }
  set_variable(const set_variable&) = delete;
  set_variable& operator=(const set_variable&) = delete;
  ~set_variable() {
    if (saved_)
      ::setenv(name_, saved_->c_str(), 1);
    else
      ::unsetenv(name_);
  }

private:
  const char* name_;
  std::optional<std::string> saved_;
};

/// Runs `body` in a process forked for it, before any thread exists, and returns what it returned.
inline std::string in_forked_master(const std::function<std::string()>& body) {
  const auto report = make_pipe();
  const auto pid = ::fork();
  if (pid == 0) {
    const auto out = ::fcntl(report.write(), F_DUPFD_CLOEXEC, 100);
    ::close(report.read());
    ::close(report.write());
    std::string text;
    try {
      text = body();
    } catch (const std::exception& ex) {
      text = ex.what();
    }
    [[maybe_unused]] const auto n = ::write(out, text.data(), text.size());
    ::_exit(0);
  }
  ::close(report.write());
  auto result = read_all(report.read());
  ::close(report.read());
  ::waitpid(pid, nullptr, 0);
  return result;
}

inline std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const auto& text : texts)
    result += (result.empty() ? "" : " ") + text;
  return result;
}

/// Leaves this process only `spare` descriptors to open.
class few_descriptors {
public:
  explicit few_descriptors(std::size_t spare) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit tight{64, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
    for (int fd = 0; (fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0;)
      taken_.push_back(fd);
    for (std::size_t i = 0; i < spare && !taken_.empty(); ++i) {
      ::close(taken_.back());
      taken_.pop_back();
    }
  }
  few_descriptors(const few_descriptors&) = delete;
  few_descriptors& operator=(const few_descriptors&) = delete;
  ~few_descriptors() {
    for (const auto fd : taken_)
      ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

private:
  rlimit before_{};
  std::vector<int> taken_;
};

} // namespace cluster_channel
