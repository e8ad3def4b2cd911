// A launcher with the initializers of Boost.Process v2, whose cost does not depend on the size of the master.
//
// Boost's default launcher forks, which copies the page tables: 22 ms for a master of 1 GiB, against 0.2 ms for vfork.
// Boost's own vfork_launcher tells the I/O context of the fork inside the shared address space, which breaks the
// parent's reactor; this one does not.
//
// The child of a vfork(2) runs in the parent's memory until it execs. So only the calling thread waits, all signals
// are blocked meanwhile, the child calls only async-signal-safe functions, and an initializer takes the handlers of the
// parent off before it lets any signal through. Tools that turn vfork into fork (some sanitizers, Valgrind) work too.
//
// What it returns is no basic_process: that would reap a process as soon as it ends, and by its pid.
#pragma once

#include <cluster_channel/actors/detail/signals.hpp>
#include <cluster_channel/actors/detail/unique_fd.hpp>

#include <boost/process/v2/posix/default_launcher.hpp>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cluster_channel::detail {

/// The numbers of a child's own descriptors are below this one, and those of the parent that a launch needs are not: so
/// giving the child its own overwrites none of them, even in a parent that closed its standard descriptors.
inline constexpr int launch_fd_least = 10;

/// A process that runs and is not reaped.
struct launched_process {
  pid_t pid = -1;
  unique_fd pidfd;
};

/// Works with initializers that have `on_setup` and `on_exec_setup`; the latter is called in the child. One launch
/// each.
class vfork_launcher : public boost::process::v2::posix::default_launcher {
public:
  /// Starts `executable` with `args`. On failure sets `ec` to the reason, whichever step it came from, and leaves no
  /// process behind.
  template <class Args, class... Inits>
  launched_process operator()(boost::system::error_code& ec, const boost::process::v2::filesystem::path& executable,
                              Args&& args, Inits&&... inits) {
    namespace posix = boost::process::v2::posix::detail;
    const char* const* argv = this->build_argv_(executable, std::forward<Args>(args));
    ec = posix::on_setup(*this, executable, argv, inits...);
    if (ec)
      return {};
    if (const auto reason = make_report_pipe(); reason != 0)
      return none(ec, reason, "pipe");
    int vfork_errno = 0;
    {
      signals_blocked none_through{all_signals()};
      pid = ::vfork();
      if (pid == 0) {
        report_.came_through_memory = true;
        report_.reason = posix::on_exec_setup(*this, executable, argv, inits...).value();
        if (report_.reason == 0) {
          report_.step = 0;
          ::execve(image ? image : executable.c_str(), const_cast<char* const*>(argv), const_cast<char* const*>(env));
          report_.reason = errno;
        }
        const auto copy = report();
        [[maybe_unused]] const auto written = ::write(report_fd_in_child, &copy, sizeof copy);
        ::_exit(127);
      }
      vfork_errno = errno;
    }
    if (pid < 0)
      return none(ec, vfork_errno, "vfork");
    receive_report();
    if (report_.reason != 0) {
      reap(pid);
      return none(ec, report_.reason, nullptr);
    }
    unique_fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (pidfd.get() < 0) {
      const auto reason = errno;
      ::kill(pid, SIGKILL); // not reaped yet: it is still ours
      reap(pid);
      return none(ec, reason, "pidfd_open");
    }
    return {pid, std::move(pidfd)};
  }

  /// What is executed; nullptr: `executable`. The child's argv[0] is `executable` either way.
  const char* image = nullptr;

  /// For `on_exec_setup`: where the child reports a failure to, and where it has moved that to.
  int report_fd() const noexcept { return report_pipe_.childs.get(); }
  int report_fd_in_child = -1;

  /// For `on_exec_setup`: what the child is about to try, told to the parent if that fails. Exec itself is step 0.
  void trying(int step) noexcept { report_.step = step; }

  /// The step of the child at which the launch failed, and the call of the parent if it was that.
  int failed_step() const noexcept { return report_.step; }
  const char* failed_call() const noexcept { return failed_call_; }

  static void reap(pid_t child) noexcept {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

private:
  struct report_message {
    int reason;
    int step;
  };

  /// Written by the child in memory that it shares with the parent until it execs; or else not seen by the parent.
  struct shared_report {
    volatile bool came_through_memory = false;
    volatile int reason = 0;
    volatile int step = 0;
  };

  launched_process none(boost::system::error_code& ec, int reason, const char* call) {
    failed_call_ = call;
    ec.assign(reason, boost::system::system_category());
    return {};
  }

  report_message report() const noexcept { return {report_.reason, report_.step}; }

  /// @returns 0 or the reason why not, as errno has it.
  int make_report_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0)
      return errno;
    report_pipe_.masters.reset(fds[0]);
    report_pipe_.childs.reset(fds[1]);
    const auto moved = ::fcntl(fds[1], F_DUPFD_CLOEXEC, launch_fd_least);
    if (moved < 0)
      return errno == EINVAL ? EMFILE : errno; // EINVAL: the limit is below launch_fd_least
    report_pipe_.childs.reset(moved);
    report_fd_in_child = moved;
    return 0;
  }

  /// After a real vfork there is nothing to wait for. Not to read then matters if another thread has forked without
  /// exec in the wrong moment: its copy of the pipe would keep this one waiting.
  void receive_report() {
    report_pipe_.childs.reset();
    if (report_.came_through_memory)
      return;
    report_message message{};
    ssize_t n = 0;
    do {
      n = ::read(report_pipe_.masters.get(), &message, sizeof message);
    } while (n < 0 && errno == EINTR);
    if (n == static_cast<ssize_t>(sizeof message)) {
      report_.reason = message.reason;
      report_.step = message.step;
    }
  }

  fd_pair report_pipe_;
  shared_report report_;
  const char* failed_call_ = nullptr;
};

} // namespace cluster_channel::detail
