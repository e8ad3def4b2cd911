#include <cluster_channel/actors/detail/child_setup.hpp>
#include <cluster_channel/actors/detail/guarded.hpp>
#include <cluster_channel/actors/detail/output_forwarder.hpp>
#include <cluster_channel/actors/detail/signals.hpp>
#include <cluster_channel/actors/detail/unique_fd.hpp>
#include <cluster_channel/actors/detail/vfork_launcher.hpp>
#include <cluster_channel/actors/process_host.hpp>
#include <cluster_channel/serialization/node_ipc.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <unordered_map>

namespace cluster_channel {

namespace {

namespace bp = boost::process::v2;

using detail::fd_pair;
using detail::unique_fd;

/// The image that runs here, whatever became of its file.
constexpr const char* own_image_path = "/proc/self/exe";

/// A step of a launch, named `step` in its error.
[[noreturn]] void throw_errno(const char* step) {
  throw std::system_error{errno, std::generic_category(), step};
}

/// Takes `fd`, moved out of the way of the child's numbers.
unique_fd high(int fd) {
  unique_fd low{fd};
  if (fd >= detail::launch_fd_least)
    return low;
  const auto moved = ::fcntl(fd, F_DUPFD_CLOEXEC, detail::launch_fd_least);
  if (moved < 0) {
    if (errno == EINVAL) // what it says if the limit is below launch_fd_least
      errno = EMFILE;
    throw_errno("fcntl");
  }
  return unique_fd{moved};
}

fd_pair make_link() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    throw_errno("socketpair");
  unique_fd second{fds[1]};
  auto first = high(fds[0]);
  return {std::move(first), high(second.release())};
}

fd_pair make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    throw_errno("pipe");
  unique_fd second{fds[1]};
  auto first = high(fds[0]);
  return {std::move(first), high(second.release())};
}

unique_fd open_null() {
  const auto fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    throw_errno("/dev/null");
  return high(fd);
}

/// Whether trying again cannot help. Not so: a lack of something, a file that is being written, a process that ended so
/// soon that it is gone (in a program that ignores SIGCHLD).
bool is_permanent(int code) {
  for (const auto passing : {EAGAIN, ENOMEM, EMFILE, ENFILE, ENOBUFS, ENOSPC, ETXTBSY, EINTR, ESRCH})
    if (code == passing)
      return false;
  return true;
}

/// The file to execute, as an absolute path: the child may change its directory first. Throws `std::system_error` with
/// the reason if there is none, as execvp(3) chooses it.
std::string find_executable(const std::string& name, std::string_view path) {
  if (name.find('/') != std::string::npos)
    return std::filesystem::absolute(name).string();
  int reason = ENOENT;
  for (;;) {
    const auto end = std::min(path.find(':'), path.size());
    const auto directory = end == 0 ? std::filesystem::path{"."} : std::filesystem::path{path.substr(0, end)};
    const auto file = directory / name;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored)) {
      if (::access(file.c_str(), X_OK) == 0)
        return std::filesystem::absolute(file).string();
      reason = EACCES;
    }
    if (end == path.size())
      throw std::system_error{reason, std::generic_category()};
    path.remove_prefix(end + 1);
  }
}

/// What went wrong, in words that name the step and the thing.
std::string reason_text(int reason, const detail::vfork_launcher& launcher, const std::string& executable,
                        const std::string& directory) {
  const auto system_text = [](int code) { return std::generic_category().message(code); };
  if (const auto* call = launcher.failed_call()) {
    if (reason == ESRCH)
      return "it ended at once, and how is not known: the program ignores SIGCHLD, or reaps all its children itself";
    return call + (": " + system_text(reason));
  }
  std::error_code ignored;
  switch (launcher.failed_step()) {
  case detail::step_descriptors:
    return "dup: " + system_text(reason);
  case detail::step_null:
    return "/dev/null: " + system_text(reason);
  case detail::step_group:
    return "setpgid: " + system_text(reason);
  case detail::step_directory:
    return "working directory " + directory + ": " + system_text(reason);
  default:
    break;
  }
  if (reason == EACCES && std::filesystem::is_directory(executable, ignored))
    return system_text(EISDIR);
  if (reason == ENOENT && std::filesystem::exists(executable, ignored))
    return "its interpreter or loader: " + system_text(reason);
  return system_text(reason);
}

/// What `this_executable` is called by the kernel now, without the mark of a file that is gone.
std::string find_this_executable() {
  static constexpr std::string_view mark = " (deleted)";
  auto result = std::filesystem::read_symlink(own_image_path).string();
  std::error_code ignored;
  if (result.ends_with(mark) && !std::filesystem::equivalent(result, own_image_path, ignored))
    result.resize(result.size() - mark.size());
  return result;
}

/// Whether to execute the image that runs here rather than what is at the path.
bool wants_own_image(const process_spec& spec) {
  try {
    return spec.own_image && spec.executable == this_executable();
  } catch (const std::filesystem::filesystem_error&) {
    return false; // without /proc there is no other way than the path
  }
}

std::uint64_t inode_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    throw_errno("fstat");
  return status.st_ino;
}

/// PATH, or where execvp(3) looks without one.
std::string search_path() {
  const char* path = std::getenv("PATH");
  return path ? path : "/usr/local/bin:/usr/bin:/bin";
}

std::vector<std::string> make_environment(const environment_options& options, link_variables link) {
  std::map<std::string, std::string> values;
  if (options.inherit)
    for (char** entry = ::environ; entry && *entry; ++entry)
      if (const std::string_view text{*entry}; text.find('=') != std::string_view::npos)
        values.insert_or_assign(std::string{text.substr(0, text.find('='))}, text.substr(text.find('=') + 1));
  for (const auto& [name, value] : options.set)
    values.insert_or_assign(name, value);
  for (const auto& name : options.unset)
    values.erase(name);
  // Those that the master itself was started with are not the child's.
  for (const auto* name : {link_fd_variable, link_id_variable, node_fd_variable, node_mode_variable})
    values.erase(name);
  const auto fd = std::to_string(detail::child_link_fd);
  if (link == link_variables::node) {
    values.insert_or_assign(node_fd_variable, fd);
    values.insert_or_assign(node_mode_variable, node_mode_json);
  } else {
    values.insert_or_assign(link_fd_variable, fd);
  }
  std::vector<std::string> result;
  result.reserve(values.size());
  for (const auto& [name, value] : values)
    result.push_back(name + "=" + value);
  return result;
}

/// As execve(2) wants it; points into `strings`.
std::vector<const char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<const char*> result;
  result.reserve(strings.size() + 1);
  for (const auto& string : strings)
    result.push_back(string.c_str());
  result.push_back(nullptr);
  return result;
}

/// How a process ended that somebody else has reaped, if the kernel tells (PIDFD_GET_INFO, Linux 6.15).
exit_status status_told_by(int pidfd) {
  struct {
    std::uint64_t mask;
    std::uint64_t cgroup;
    std::uint32_t ids[11];
    std::int32_t exit_code;
  } info{};
  static_assert(sizeof info == 64, "struct pidfd_info of linux/pidfd.h, in its first version");
  constexpr std::uint64_t exit_info = 1U << 3;
  info.mask = exit_info;
  if (::ioctl(pidfd, _IOWR(0xFF, 11, decltype(info)), &info) != 0 || (info.mask & exit_info) == 0)
    return {false, -1};
  return WIFSIGNALED(info.exit_code) ? exit_status{true, WTERMSIG(info.exit_code)}
                                     : exit_status{false, WEXITSTATUS(info.exit_code)};
}

/// `waitid` for this one process, whoever has its number now.
int wait_for(int pidfd, siginfo_t& info, int flags) {
  int result = 0;
  do {
    info = {};
    result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG | flags);
  } while (result != 0 && errno == EINTR);
  return result;
}

/// All that concerns processes runs on one thread, as handlers of its I/O context. They may refer to the host, which
/// joins the thread before it goes, and none is left then: the thread ends when there is nothing to wait for any more.
class boost_process_host final : public process_host {
public:
  boost_process_host(std::vector<process_spec> specs, process_listener listener)
      : programs_{make_programs(std::move(specs))},
        listener_{std::move(listener)},
        path_{search_path()},
        output_{has_output(spec_of_output()) ? std::make_unique<detail::output_forwarder>(spec_of_output().on_output)
                                             : nullptr},
        work_{boost::asio::make_work_guard(context_)} {
    detail::signals_blocked foreign{detail::foreign_signals()};
    thread_ = std::thread{[this] { context_.run(); }};
  }

  boost_process_host(const boost_process_host&) = delete;
  boost_process_host& operator=(const boost_process_host&) = delete;

  ~boost_process_host() override {
    detail::until_there_is_memory([this] {
      boost::asio::post(context_, [this] {
        closing_ = true;
        for (auto& [node, process] : processes_)
          send_signal(process, SIGKILL);
      });
    });
    work_.reset(); // the thread ends when the last process is reaped
    thread_.join();
  }

  void launch(node_id node, std::size_t program) override {
    boost::asio::post(context_, [this, node, program] { launch_now(node, programs_.at(program)); });
  }

  void signal(node_id node, int signo) override {
    boost::asio::post(context_, [this, node, signo] {
      if (auto pos = processes_.find(node); pos != processes_.end())
        send_signal(pos->second, signo);
    });
  }

private:
  using executor = boost::asio::io_context::executor_type;

  using descriptor = boost::asio::posix::stream_descriptor;

  struct process {
    explicit process(boost::asio::io_context& context) : pidfd{context} {}
    pid_t pid = -1;
    descriptor pidfd;
    bool own_group = false;
    bool told_to_end = false;
  };

  /// What one program needs, made when the host is.
  struct program {
    explicit program(process_spec its_spec)
        : spec{std::move(its_spec)},
          environment{make_environment(spec.environment, spec.link)},
          env{pointers_to(environment)},
          own_image{wants_own_image(spec)} {}
    process_spec spec;
    std::vector<std::string> environment; // of the master then: setenv(3) on another thread would be a data race
    std::vector<const char*> env;         // points into it
    bool own_image;
  };

  static std::vector<program> make_programs(std::vector<process_spec> specs) {
    std::vector<program> result;
    result.reserve(specs.size()); // they must stay where they are
    for (auto& spec : specs)
      result.emplace_back(std::move(spec));
    return result;
  }

  const process_spec& spec_of_output() const { return programs_.front().spec; }

  static bool has_output(const process_spec& spec) { return spec.on_output || spec.output == output_mode::forward; }

  /// To the group if the process leads one; else by pidfd, which stands for this one process even after somebody else
  /// has reaped it: pidfd_open(2).
  static void send_signal(process& to, int signo) {
    to.told_to_end = to.told_to_end || signo == SIGTERM || signo == SIGKILL;
    const auto sent = [&](int number) {
      return ::syscall(SYS_pidfd_send_signal, to.pidfd.native_handle(), number, nullptr, 0) == 0;
    };
    if (to.own_group && sent(0) && ::getpgid(to.pid) == to.pid)
      ::kill(-to.pid, signo);
    else
      sent(signo);
  }

  /// A listener that lacks memory is told again until it has some: a lost event would leave its node in between for
  /// ever.
  void tell(const process_event& event) {
    detail::until_there_is_memory([&] { listener_(event); });
  }

  void launch_now(node_id node, const program& what) {
    if (closing_) // the listener asked for it while the host is being destroyed
      return;
    const auto failed = [&](int code, const std::string& reason) {
      processes_.erase(node);
      detail::until_there_is_memory([&] {
        tell(process_failed{node,
                            make_error(errc::launch_failed, "cannot launch " + what.spec.executable + ": " + reason),
                            is_permanent(code)});
      });
    };
    try {
      start(node, what, failed);
    } catch (const std::filesystem::filesystem_error& ex) { // its text repeats the path
      failed(ex.code().value(), ex.code().message());
    } catch (const std::system_error& ex) {
      failed(ex.code().value(), ex.what());
    } catch (const boost::system::system_error& ex) { // Asio's, which is no std::system_error
      failed(ex.code().value(), "epoll: " + std::generic_category().message(ex.code().value()));
    } catch (const std::exception& ex) {
      failed(ENOMEM, ex.what());
    }
  }

  template <class Failed>
  void start(node_id node, const program& what, const Failed& failed) {
    assert(processes_.count(node) == 0);
    const auto& spec = what.spec;
    const auto executable = what.own_image ? spec.executable : find_executable(spec.executable, path_);
    auto link = make_link();
    const auto link_id = link_id_variable + ("=" + std::to_string(inode_of(link.childs.get())));
    auto env = what.env;
    env.insert(env.begin(), link_id.c_str());
    auto out = make_output();
    auto err = make_output();
    auto watched = watch(out, err);
    const detail::child_setup setup{.env = env.data(),
                                    .link = link.childs.get(),
                                    .out = out.childs.get(),
                                    .err = err.childs.get(),
                                    .directory =
                                        spec.working_directory.empty() ? nullptr : spec.working_directory.c_str(),
                                    .master = ::getpid(),
                                    .image = what.own_image ? own_image_path : nullptr,
                                    .masters_stdin = spec.input == input_mode::inherit,
                                    .own_group = spec.own_group,
                                    .cpus = &cpus_};
    auto& running = processes_.emplace(node, process{context_}).first->second; // before there is one to lose
    detail::vfork_launcher launcher;
    boost::system::error_code ec;
    auto launched = launcher(ec, bp::filesystem::path{executable}, spec.args, setup);
    if (ec) {
      failed(ec.value(), reason_text(ec.value(), launcher, executable, spec.working_directory));
      return;
    }
    running.pid = launched.pid;
    running.own_group = spec.own_group;
    try {
      running.pidfd.assign(launched.pidfd.get());
      launched.pidfd.release();
      await_end(node, running);
      if (output_) {
        output_->add(std::move(watched->out), node, launched.pid, output_stream::out);
        output_->add(std::move(watched->err), node, launched.pid, output_stream::err);
      }
    } catch (...) { // the reactor cannot take it, or there is no memory; it is not reaped yet, so it is still ours
      ::kill(launched.pid, SIGKILL);
      detail::vfork_launcher::reap(launched.pid);
      throw;
    }
    tell(process_started{node, launched.pid, link.masters.release()});
  }

  void await_end(node_id node, process& running) {
    detail::until_there_is_memory([&] {
      running.pidfd.async_wait(descriptor::wait_read, [this, node](boost::system::error_code) { look_at(node); });
    });
  }

  /// Reaps the process of `node` if it has ended. What its group still has is killed first: until it is reaped, nobody
  /// else can have its number.
  void look_at(node_id node) {
    const auto pos = processes_.find(node);
    if (pos == processes_.end())
      return; // a launch that failed after all
    auto& it = pos->second;
    const auto pidfd = it.pidfd.native_handle();
    exit_status status;
    siginfo_t info{};
    if (wait_for(pidfd, info, WNOWAIT) != 0) {
      status = status_told_by(pidfd); // somebody else has reaped it
    } else if (info.si_pid == 0) {
      await_end(node, it); // it has not ended
      return;
    } else {
      status = {info.si_code != CLD_EXITED, info.si_status};
      if (it.own_group && (it.told_to_end || status.signaled))
        ::kill(-it.pid, SIGKILL);
      wait_for(pidfd, info, 0);
    }
    processes_.erase(pos);
    if (output_)
      detail::until_there_is_memory([&] { output_->child_ended(node); });
    tell(process_exited{node, status});
  }

  /// What becomes a child's stdout or stderr, and where the master reads it; empty where there is none.
  fd_pair make_output() const {
    if (output_)
      return make_pipe();
    return spec_of_output().output == output_mode::drop ? fd_pair{{}, open_null()} : fd_pair{};
  }

  struct watched_output {
    detail::output_forwarder::pipe out;
    detail::output_forwarder::pipe err;
  };

  /// Done before the launch, so that a lack of descriptors fails it instead of losing output.
  std::optional<watched_output> watch(fd_pair& out, fd_pair& err) {
    if (!output_)
      return std::nullopt;
    auto watched_out = output_->watch(out.masters.get());
    out.masters.release();
    auto watched_err = output_->watch(err.masters.get());
    err.masters.release();
    return watched_output{std::move(watched_out), std::move(watched_err)};
  }

  const std::vector<program> programs_;
  const process_listener listener_;
  const std::string path_; // of the master, when the host was made
  const detail::cpu_set cpus_ = detail::cpu_set::of_process();
  // Before the context: it looks which standard descriptors there are, the context makes new ones. Outlives the
  // thread, which adds to it.
  const std::unique_ptr<detail::output_forwarder> output_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<executor> work_;
  std::unordered_map<node_id, process> processes_; // touched by the thread only
  bool closing_ = false;                           // same
  std::thread thread_;
};

bool has_zero(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

} // namespace

caf::error validate(const process_spec& spec) {
  const auto invalid = [](const std::string& text) { return make_error(errc::invalid_options, text); };
  if (spec.executable.empty())
    return invalid("executable is empty: give the path of the child program, or this_executable()");
  if (has_zero(spec.executable))
    return invalid("executable contains a zero byte");
  if (std::any_of(spec.args.begin(), spec.args.end(), has_zero))
    return invalid("args contain a zero byte");
  if (!spec.working_directory.empty()) {
    std::error_code ec;
    if (has_zero(spec.working_directory) || !std::filesystem::is_directory(spec.working_directory, ec))
      return invalid("working_directory " + spec.working_directory + " is no directory: give an existing one, or none");
  }
  for (const auto& [name, value] : spec.environment.set) {
    if (name.empty() || name.find('=') != std::string::npos || has_zero(name))
      return invalid("environment.set: \"" + name + "\" is no name of a variable");
    if (has_zero(value))
      return invalid("environment.set: the value of " + name + " contains a zero byte");
    if (name == link_fd_variable || name == link_id_variable || name == node_fd_variable || name == node_mode_variable)
      return invalid("environment.set: " + name + " is the library's own");
  }
  for (const auto& name : spec.environment.unset)
    if (name.empty() || name.find('=') != std::string::npos || has_zero(name))
      return invalid("environment.unset: \"" + name + "\" is no name of a variable");
  return {};
}

std::string this_executable() {
  static const std::string path = find_this_executable();
  return path;
}

std::unique_ptr<process_host> make_process_host_for(std::vector<process_spec> programs, process_listener listener) {
  return std::make_unique<boost_process_host>(std::move(programs), std::move(listener));
}

std::unique_ptr<process_host> make_process_host(process_spec program, process_listener listener) {
  return make_process_host_for(std::vector{std::move(program)}, std::move(listener));
}

} // namespace cluster_channel
