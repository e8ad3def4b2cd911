#include <cluster_channel/actors/detail/output_forwarder.hpp>
#include <cluster_channel/actors/detail/signals.hpp>
#include <cluster_channel/actors/detail/vfork_launcher.hpp>
#include <cluster_channel/actors/process_host.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <unordered_map>

namespace cluster_channel {

namespace {

namespace bp = boost::process::v2;

/// Numbers of the child's descriptors: its link, and where it reports a failed exec.
constexpr int child_link_fd = 3;
constexpr int child_report_fd = 4;

/// The master's descriptors for a launch are moved to this number or above, so that giving the child its own numbers
/// overwrites none of them, even in a master that closed its standard descriptors.
constexpr int launch_fd_least = 10;

class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) noexcept : fd_{fd} {}
  unique_fd(unique_fd&& other) noexcept : fd_{other.release()} {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~unique_fd() { reset(); }

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = fd;
  }

private:
  int fd_ = -1;
};

[[noreturn]] void throw_errno() {
  throw std::system_error{errno, std::generic_category()};
}

/// Takes `fd`, moved out of the way of the child's numbers.
unique_fd high(int fd) {
  unique_fd low{fd};
  if (fd >= launch_fd_least)
    return low;
  const auto moved = ::fcntl(fd, F_DUPFD_CLOEXEC, launch_fd_least);
  if (moved < 0)
    throw_errno();
  return unique_fd{moved};
}

struct fd_pair {
  unique_fd masters;
  unique_fd childs;
};

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

/// What a child does between vfork and exec; only async-signal-safe calls.
struct child_setup {
  const char* const* env = nullptr;
  int link = -1;
  int out = -1; // -1: the master's
  int err = -1;
  const char* directory = nullptr; // nullptr: the master's
  pid_t master = 0;

  boost::system::error_code on_setup(detail::vfork_launcher& launcher, const bp::filesystem::path&,
                                     const char* const*&) const {
    launcher.env = env;
    launcher.report_fd_in_child = child_report_fd;
    return {};
  }

  boost::system::error_code on_exec_setup(detail::vfork_launcher& launcher, const bp::filesystem::path&,
                                          const char* const*&) const {
    // The master's handlers must not run in its memory, and a child starts with signals as a shell would give them;
    // masters often ignore SIGPIPE, which exec would pass on.
    for (int signo = 1; signo < NSIG; ++signo) {
      struct sigaction action {};
      if (::sigaction(signo, nullptr, &action) == 0 && (action.sa_handler != SIG_IGN || signo == SIGPIPE)) {
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
        ::sigaction(signo, &action, nullptr);
      }
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    // A backup for the end of file on the link, for children that do not read it. It follows the thread that forked,
    // which lives as long as the host; the check is for a master that died just before.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != master)
      ::_exit(127);
    // The report's pipe may have a low number in a master without standard descriptors: it moves first.
    if (::dup3(launcher.write_end(), child_report_fd, O_CLOEXEC) < 0 || ::dup2(link, child_link_fd) < 0 ||
        (out >= 0 && ::dup2(out, STDOUT_FILENO) < 0) || (err >= 0 && ::dup2(err, STDERR_FILENO) < 0))
      return last_error();
    ::close_range(child_report_fd + 1, UINT_MAX, 0);
    if (directory && ::chdir(directory) != 0)
      return last_error();
    return {};
  }

  static boost::system::error_code last_error() noexcept { return {errno, boost::system::system_category()}; }
};

/// Whether trying again cannot help.
bool is_permanent(int code) {
  return code != EAGAIN && code != ENOMEM && code != EMFILE && code != ENFILE && code != ETXTBSY && code != EINTR;
}

bool is_program(const std::filesystem::path& path) {
  std::error_code ec;
  return std::filesystem::is_regular_file(path, ec) && ::access(path.c_str(), X_OK) == 0;
}

/// The file to execute. Not found in PATH: the name itself, so that exec says why.
std::string find_executable(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return std::filesystem::absolute(name).string(); // before the child changes its directory
  const char* path = std::getenv("PATH");
  std::string_view rest = path ? path : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    const auto directory = end == 0 ? std::filesystem::path{"."} : std::filesystem::path{rest.substr(0, end)};
    if (auto file = directory / name; is_program(file))
      return std::filesystem::absolute(file).string();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return name;
}

std::vector<std::string> make_environment(const environment_options& options) {
  std::map<std::string, std::string> values;
  if (options.inherit)
    for (char** entry = ::environ; entry && *entry; ++entry)
      if (const std::string_view text{*entry}; text.find('=') != std::string_view::npos)
        values.insert_or_assign(std::string{text.substr(0, text.find('='))}, text.substr(text.find('=') + 1));
  for (const auto& [name, value] : options.set)
    values.insert_or_assign(name, value);
  for (const auto& name : options.unset)
    values.erase(name);
  values.insert_or_assign(link_fd_variable, std::to_string(child_link_fd));
  std::vector<std::string> result;
  for (const auto& [name, value] : values)
    result.push_back(name + "=" + value);
  return result;
}

exit_status status_of(int raw) {
  return WIFSIGNALED(raw) ? exit_status{true, WTERMSIG(raw)} : exit_status{false, WEXITSTATUS(raw)};
}

/// Whether `pid` is a child of ours that was not reaped yet, so that nobody else can have its number.
bool is_ours(pid_t pid) {
  siginfo_t info;
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

class boost_process_host final : public process_host {
public:
  boost_process_host(process_spec spec, process_listener listener)
      : spec_{std::move(spec)}, listener_{std::move(listener)}, work_{boost::asio::make_work_guard(context_)} {
    if (spec_.on_output || spec_.output == output_mode::forward)
      output_ = std::make_unique<detail::output_forwarder>(spec_.on_output);
    thread_ = std::thread{[this] {
      detail::block_all_signals();
      context_.run();
    }};
  }

  boost_process_host(const boost_process_host&) = delete;
  boost_process_host& operator=(const boost_process_host&) = delete;

  ~boost_process_host() override {
    boost::asio::post(context_, [this] {
      closing_ = true;
      for (const auto& [node, process] : processes_)
        kill_now(process.pid, SIGKILL);
    });
    work_.reset(); // the thread ends when the last process is reaped
    thread_.join();
  }

  void launch(node_id node) override {
    boost::asio::post(context_, [this, node] { launch_now(node); });
  }

  void signal(node_id node, int signo) override {
    boost::asio::post(context_, [this, node, signo] {
      if (auto pos = processes_.find(node); pos != processes_.end())
        kill_now(pos->second.pid, signo);
    });
  }

private:
  using executor = boost::asio::io_context::executor_type;

  struct process {
    std::int32_t pid = 0;
    bp::basic_process_handle<executor> handle;
  };

  static void kill_now(std::int32_t pid, int signo) {
    if (is_ours(pid))
      ::kill(pid, signo);
  }

  void launch_now(node_id node) {
    if (closing_)
      return;
    try {
      start(node);
    } catch (const std::system_error& ex) {
      listener_(process_failed{
          node, make_error(errc::launch_failed, "cannot launch " + spec_.executable + ": " + ex.code().message()),
          is_permanent(ex.code().value())});
    }
  }

  void start(node_id node) {
    auto link = make_link();
    fd_pair out;
    fd_pair err;
    if (output_) {
      out = make_pipe();
      err = make_pipe();
    } else if (spec_.output == output_mode::drop) {
      out.childs = open_null();
      err.childs = open_null();
    }
    const auto variables = make_environment(spec_.environment);
    std::vector<const char*> env;
    for (const auto& variable : variables)
      env.push_back(variable.c_str());
    env.push_back(nullptr);

    const child_setup setup{.env = env.data(),
                            .link = link.childs.get(),
                            .out = out.childs.get(),
                            .err = err.childs.get(),
                            .directory = spec_.working_directory.empty() ? nullptr : spec_.working_directory.c_str(),
                            .master = ::getpid()};
    boost::system::error_code ec;
    auto process = detail::vfork_launcher{}(context_.get_executor(), ec,
                                            bp::filesystem::path{find_executable(spec_.executable)}, spec_.args, setup);
    if (ec)
      throw std::system_error{ec.value(), std::generic_category()};
    const auto pid = process.id();
    // Detached: a basic_process ends what has its pid when it is destroyed, reaped or not.
    auto pos = processes_.emplace(node, boost_process_host::process{pid, process.detach()}).first;
    if (output_) {
      output_->add(out.masters.release(), node, pid, output_stream::out);
      output_->add(err.masters.release(), node, pid, output_stream::err);
    }
    listener_(process_started{node, pid, link.masters.release()});
    pos->second.handle.async_wait([this, node](boost::system::error_code, int raw) {
      processes_.erase(node);
      if (!closing_)
        listener_(process_exited{node, status_of(raw)});
    });
  }

  const process_spec spec_;
  const process_listener listener_;
  std::unique_ptr<detail::output_forwarder> output_; // outlives the thread below, which adds to it
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
    if (name == link_fd_variable)
      return invalid("environment.set: " + name + " is the library's own");
  }
  return {};
}

std::unique_ptr<process_host> make_process_host(process_spec spec, process_listener listener) {
  return std::make_unique<boost_process_host>(std::move(spec), std::move(listener));
}

} // namespace cluster_channel
