// A launcher for Boost.Process v2 whose cost does not depend on the size of the master.
//
// Boost's default launcher forks, which copies the page tables: 22 ms for a master of 1 GiB, against 0.2 ms for vfork.
// Boost's own vfork_launcher tells the I/O context of the fork inside the shared address space, which breaks the
// parent's reactor; this one does not.
//
// The child of a vfork(2) runs in the parent's memory until it execs. So only the calling thread waits, all signals
// are blocked meanwhile, the child calls only async-signal-safe functions, and handlers of the parent are taken off
// before any signal can reach them. A fork instead of a vfork (sanitizers do that) works too.
#pragma once

#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/process_handle.hpp>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace cluster_channel::detail {

/// Works with initializers that have `on_exec_setup`, called in the child with all signals blocked.
class vfork_launcher : public boost::process::v2::posix::default_launcher {
public:
  /// Starts `executable` with `args`. On failure sets `ec` to the reason, whichever step of the child it came from, and
  /// leaves no process behind.
  template <class Executor, class Args, class... Inits>
  boost::process::v2::basic_process<Executor> operator()(Executor executor, boost::system::error_code& ec,
                                                         const boost::process::v2::filesystem::path& executable,
                                                         Args&& args, Inits&&... inits) {
    namespace posix = boost::process::v2::posix::detail;
    const char* const* argv = this->build_argv_(executable, std::forward<Args>(args));
    ec = posix::on_setup(*this, executable, argv, inits...);
    if (ec)
      return boost::process::v2::basic_process<Executor>{executor};
    pipe_guard report; // the child writes its errno there; closed by a successful exec
    if (!make_report(report)) {
      ec.assign(errno, boost::system::system_category());
      return boost::process::v2::basic_process<Executor>{executor};
    }
    write_end_ = report.p[1];
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = ::vfork();
    if (pid == 0) {
      const auto child_ec = posix::on_exec_setup(*this, executable, argv, inits...);
      int reason = child_ec.value();
      if (!child_ec) {
        ::execve(executable.c_str(), const_cast<char* const*>(argv), const_cast<char* const*>(env));
        reason = errno;
      }
      [[maybe_unused]] const auto written =
          ::write(report_fd_in_child >= 0 ? report_fd_in_child : write_end_, &reason, sizeof reason);
      ::_exit(127);
    }
    const auto vfork_errno = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) {
      ec.assign(vfork_errno, boost::system::system_category());
      return boost::process::v2::basic_process<Executor>{executor};
    }
    if (const auto reason = read_report(report); reason != 0) {
      reap(pid);
      ec.assign(reason, boost::system::system_category());
      return boost::process::v2::basic_process<Executor>{executor};
    }
    try {
      return boost::process::v2::basic_process<Executor>{executor, pid};
    } catch (const boost::system::system_error& ex) { // no descriptor left for the pidfd
      ::kill(pid, SIGKILL);
      reap(pid);
      ec = ex.code();
      return boost::process::v2::basic_process<Executor>{executor};
    }
  }

  /// For initializers: where the child reports a failure to, and where they have moved that to.
  int write_end() const noexcept { return write_end_; }
  int report_fd_in_child = -1;

private:
  /// Makes the pipe, with a write end that is out of the way of the child's own descriptors.
  static bool make_report(pipe_guard& report) {
    if (::pipe2(report.p, O_CLOEXEC) != 0)
      return false;
    const auto moved = ::fcntl(report.p[1], F_DUPFD_CLOEXEC, 10);
    if (moved < 0)
      return false;
    ::close(std::exchange(report.p[1], moved));
    return true;
  }

  static int read_report(pipe_guard& report) {
    ::close(report.p[1]);
    report.p[1] = -1;
    int reason = 0;
    ssize_t n = 0;
    do {
      n = ::read(report.p[0], &reason, sizeof reason);
    } while (n < 0 && errno == EINTR);
    return n == sizeof reason ? reason : 0;
  }

  static void reap(pid_t child) noexcept {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  int write_end_ = -1;
};

} // namespace cluster_channel::detail
