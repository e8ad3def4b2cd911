// Ctrl-C for a master: children are in process groups of their own, so it reaches the master alone, which closes its
// channel and thereby lets the calls finish that run.
#pragma once

#include <atomic>
#include <csignal>
#include <functional>
#include <pthread.h>
#include <thread>
#include <utility>

namespace examples {

inline sigset_t interrupts() {
  sigset_t result;
  sigemptyset(&result);
  sigaddset(&result, SIGINT);
  sigaddset(&result, SIGTERM);
  return result;
}

/// To be called before any thread is started: all of them then leave these signals to `on_interrupt`.
inline void block_interrupts() {
  const auto which = interrupts();
  pthread_sigmask(SIG_BLOCK, &which, nullptr);
}

/// While it lives, runs `f` on a thread of its own at the first SIGINT or SIGTERM. The next one ends the program.
class on_interrupt {
public:
  explicit on_interrupt(std::function<void()> f)
      : thread_{[this, f = std::move(f)] {
          const auto which = interrupts();
          int signo = 0;
          sigwait(&which, &signo);
          if (taken_.exchange(true))
            return;
          pthread_sigmask(SIG_UNBLOCK, &which, nullptr);
          f();
        }} {}

  on_interrupt(const on_interrupt&) = delete;
  on_interrupt& operator=(const on_interrupt&) = delete;

  ~on_interrupt() {
    if (!taken_.exchange(true))
      pthread_kill(thread_.native_handle(), SIGINT); // for nobody but its sigwait
    thread_.join();
  }

private:
  std::atomic<bool> taken_ = false;
  std::thread thread_;
};

} // namespace examples
