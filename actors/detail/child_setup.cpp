#include <cluster_channel/actors/detail/child_setup.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

namespace cluster_channel::detail {

namespace {

boost::system::error_code last_error() noexcept {
  return {errno, boost::system::system_category()};
}

/// Takes the master's handlers off, which must not run in its memory, and starts the child as a shell would: masters
/// often ignore SIGPIPE and some SIGCHLD, which exec would pass on. What else is ignored stays so (nohup(1)).
void reset_handlers() noexcept {
  for (int signo = 1; signo < NSIG; ++signo) {
    struct sigaction action {};
    if (::sigaction(signo, nullptr, &action) != 0 || action.sa_handler == SIG_DFL)
      continue;
    if (action.sa_handler != SIG_IGN || signo == SIGPIPE || signo == SIGCHLD) {
      action.sa_handler = SIG_DFL;
      action.sa_flags = 0;
      ::sigaction(signo, &action, nullptr);
    }
  }
}

void close_from(int first) noexcept {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), UINT_MAX, 0U) != 0)
    close_each_from(first);
}

/// Without a standard descriptor, the first file the child opens would take its number, and its messages.
bool fill_standard_fds() noexcept {
  for (const auto fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (is_standard_fd(fd))
      continue;
    const auto null = ::open("/dev/null", O_RDWR);
    if (null < 0)
      return false;
    if (null != fd) {
      if (::dup2(null, fd) < 0)
        return false;
      ::close(null);
    }
  }
  return true;
}

/// The number a name of /proc/self/fd stands for; -1: none.
int number_of(const char* name) noexcept {
  int result = 0;
  for (; *name >= '0' && *name <= '9'; ++name)
    result = result * 10 + (*name - '0');
  return *name == '\0' ? result : -1;
}

} // namespace

boost::system::error_code child_setup::on_setup(vfork_launcher& launcher, const boost::process::v2::filesystem::path&,
                                                const char* const*&) const {
  launcher.env = env;
  launcher.image = image;
  return {};
}

boost::system::error_code child_setup::on_exec_setup(vfork_launcher& launcher,
                                                     const boost::process::v2::filesystem::path&,
                                                     const char* const*&) const noexcept {
  reset_handlers();
  // A backup for the end of file on the link, for children that do not read it. It follows the thread that forked,
  // which lives as long as the host; the check is for a master that died just before.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != master)
    ::_exit(127);
  launcher.trying(step_descriptors);
  if (::dup3(launcher.report_fd(), child_report_fd, O_CLOEXEC) < 0)
    return last_error();
  launcher.report_fd_in_child = child_report_fd;
  if (::dup2(link, child_link_fd) < 0 || (out >= 0 && ::dup2(out, STDOUT_FILENO) < 0) ||
      (err >= 0 && ::dup2(err, STDERR_FILENO) < 0))
    return last_error();
  close_from(child_report_fd + 1);
  launcher.trying(step_null);
  if (!masters_stdin)
    ::close(STDIN_FILENO);
  if (!fill_standard_fds())
    return last_error();
  launcher.trying(step_group);
  if (own_group && ::setpgid(0, 0) != 0)
    return last_error();
  if (cpus)
    cpus->use();
  launcher.trying(step_directory);
  if (directory && ::chdir(directory) != 0)
    return last_error();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  return {};
}

bool is_standard_fd(int fd) noexcept {
  const auto flags = ::fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

void close_each_from(int first, int last) noexcept {
  const auto directory = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) { // all numbers there can be, unless the limit was lowered
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = first; fd <= last && static_cast<rlim_t>(fd) < limit.rlim_cur; ++fd)
      ::close(fd);
    return;
  }
  // getdents64(2): readdir(3) would allocate. Each record: inode, offset, length of the record, type, name.
  constexpr std::size_t length_at = 16;
  constexpr std::size_t name_at = 19;
  alignas(std::uint64_t) char buffer[1024];
  for (;;) {
    const auto size = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (size <= 0)
      break;
    std::uint16_t length = 0;
    for (long pos = 0; pos < size; pos += length) {
      std::memcpy(&length, buffer + pos + length_at, sizeof length);
      const auto fd = number_of(buffer + pos + name_at);
      if (fd >= first && fd <= last && fd != directory)
        ::close(fd);
    }
  }
  ::close(directory);
}

} // namespace cluster_channel::detail
