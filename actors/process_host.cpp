#include <cluster_channel/actors/detail/child_setup.hpp>
#include <cluster_channel/actors/detail/output_forwarder.hpp>
#include <cluster_channel/actors/detail/signals.hpp>
#include <cluster_channel/actors/detail/unique_fd.hpp>
#include <cluster_channel/actors/detail/vfork_launcher.hpp>
#include <cluster_channel/actors/process_host.hpp>
#include <cluster_channel/serialization/node_ipc.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/socket.h>
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

[[noreturn]] void throw_errno() {
  throw std::system_error{errno, std::generic_category()};
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
    throw_errno();
  }
  return unique_fd{moved};
}

fd_pair make_link() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    throw_errno();
  unique_fd second{fds[1]};
  auto first = high(fds[0]);
  return {std::move(first), high(second.release())};
}

fd_pair make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    throw_errno();
  unique_fd second{fds[1]};
  auto first = high(fds[0]);
  return {std::move(first), high(second.release())};
}

unique_fd open_null() {
  const auto fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    throw_errno();
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
std::string reason_text(int reason, int step, const std::string& executable, const std::string& directory) {
  const auto system_text = [](int code) { return std::generic_category().message(code); };
  std::error_code ignored;
  if (step == detail::step_directory)
    return "working directory " + directory + ": " + system_text(reason);
  if (step == detail::step_exec && reason == EACCES && std::filesystem::is_directory(executable, ignored))
    return system_text(EISDIR);
  if (step == detail::step_exec && reason == ESRCH)
    return "it ended at once, and how is not known: the program ignores SIGCHLD";
  if (step == detail::step_exec && reason == ENOENT && std::filesystem::exists(executable, ignored))
    return "its interpreter or loader: " + system_text(reason);
  return system_text(reason);
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
  for (const auto* name : {link_fd_variable, node_fd_variable, node_mode_variable})
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

exit_status status_of(boost::system::error_code ec, int raw) {
  if (ec) // somebody else has reaped it
    return {false, -1};
  return WIFSIGNALED(raw) ? exit_status{true, WTERMSIG(raw)} : exit_status{false, WEXITSTATUS(raw)};
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
    boost::asio::post(context_, [this] {
      closing_ = true;
      for (const auto& [node, process] : processes_)
        send_signal(process, SIGKILL);
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

  struct process {
    int pidfd = -1; // owned by the handle
    bp::basic_process_handle<executor> handle;
  };

  /// What one program needs, made when the host is.
  struct program {
    explicit program(process_spec its_spec)
        : spec{std::move(its_spec)},
          environment{make_environment(spec.environment, spec.link)},
          env{pointers_to(environment)} {}
    process_spec spec;
    std::vector<std::string> environment; // of the master then: setenv(3) on another thread would be a data race
    std::vector<const char*> env;         // points into it
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

  /// By pidfd, which stands for this one process even after it was reaped, whoever did that: pidfd_open(2).
  static void send_signal(const process& to, int signo) {
    ::syscall(SYS_pidfd_send_signal, to.pidfd, signo, nullptr, 0);
  }

  void launch_now(node_id node, const program& what) {
    if (closing_) // the listener asked for it while the host is being destroyed
      return;
    const auto failed = [this, node, &what](int code, const std::string& reason) {
      listener_(process_failed{node,
                               make_error(errc::launch_failed, "cannot launch " + what.spec.executable + ": " + reason),
                               is_permanent(code)});
    };
    try {
      start(node, what, failed);
    } catch (const std::system_error& ex) {
      failed(ex.code().value(), std::generic_category().message(ex.code().value()));
    } catch (const boost::system::system_error& ex) { // Asio's, which is no std::system_error
      failed(ex.code().value(), std::generic_category().message(ex.code().value()));
    }
  }

  template <class Failed>
  void start(node_id node, const program& what, const Failed& failed) {
    assert(processes_.count(node) == 0);
    const auto& spec = what.spec;
    const auto executable = find_executable(spec.executable, path_);
    auto link = make_link();
    auto out = make_output();
    auto err = make_output();
    auto watched = watch(out, err);
    const detail::child_setup setup{.env = what.env.data(),
                                    .link = link.childs.get(),
                                    .out = out.childs.get(),
                                    .err = err.childs.get(),
                                    .directory =
                                        spec.working_directory.empty() ? nullptr : spec.working_directory.c_str(),
                                    .master = ::getpid()};
    detail::vfork_launcher launcher;
    boost::system::error_code ec;
    auto launched = launcher(context_.get_executor(), ec, bp::filesystem::path{executable}, spec.args, setup);
    if (ec) {
      failed(ec.value(), reason_text(ec.value(), launcher.failed_step(), executable, spec.working_directory));
      return;
    }
    const auto pid = launched.id();
    // Detached: a basic_process ends what has its pid when it is destroyed, reaped or not.
    auto& running = processes_.emplace(node, process{launcher.pidfd(), launched.detach()}).first->second;
    if (output_) {
      output_->add(std::move(watched->out), node, pid, output_stream::out);
      output_->add(std::move(watched->err), node, pid, output_stream::err);
    }
    listener_(process_started{node, pid, link.masters.release()});
    running.handle.async_wait([this, node](boost::system::error_code wait_ec, int raw) {
      processes_.erase(node);
      listener_(process_exited{node, status_of(wait_ec, raw)});
    });
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
    if (name == link_fd_variable || name == node_fd_variable || name == node_mode_variable)
      return invalid("environment.set: " + name + " is the library's own");
  }
  for (const auto& name : spec.environment.unset)
    if (name.empty() || name.find('=') != std::string::npos || has_zero(name))
      return invalid("environment.unset: \"" + name + "\" is no name of a variable");
  return {};
}

std::unique_ptr<process_host> make_process_host_for(std::vector<process_spec> programs, process_listener listener) {
  return std::make_unique<boost_process_host>(std::move(programs), std::move(listener));
}

std::unique_ptr<process_host> make_process_host(process_spec program, process_listener listener) {
  return make_process_host_for(std::vector{std::move(program)}, std::move(listener));
}

} // namespace cluster_channel
