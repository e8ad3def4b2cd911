// Signal masks for the library's own threads.
#pragma once

#include <csignal>
#include <pthread.h>

namespace cluster_channel::detail {

/// Keeps the handlers of the program off this thread, and SIGPIPE from ending the program when this thread writes.
inline void block_all_signals() noexcept {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

} // namespace cluster_channel::detail
