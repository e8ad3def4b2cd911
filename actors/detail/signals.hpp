// Signal masks for the library's own threads and launches.
#pragma once

#include <csignal>
#include <initializer_list>
#include <pthread.h>

namespace cluster_channel::detail {

/// Blocks signals on this thread while it lives. A thread started meanwhile begins with them blocked.
class signals_blocked {
public:
  explicit signals_blocked(const sigset_t& which) noexcept { ::pthread_sigmask(SIG_BLOCK, &which, &before_); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;
  ~signals_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
  sigset_t before_;
};

inline sigset_t all_signals() noexcept {
  sigset_t result;
  ::sigfillset(&result);
  return result;
}

/// The signals that a thread of the library leaves to the program's threads, SIGPIPE among them: a write to a pipe that
/// nobody reads is an error there, not the end of the program. What a fault of the thread itself raises stays open, so
/// that the program's crash handler sees it.
inline sigset_t foreign_signals() noexcept {
  auto result = all_signals();
  for (const auto signo : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT})
    ::sigdelset(&result, signo);
  return result;
}

} // namespace cluster_channel::detail
