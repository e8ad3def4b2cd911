#include <cluster_channel/channels/pool_thread.hpp>

#include <caf/logger.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace cluster_channel::detail {

/// Shared with the thread, which may outlive the object.
struct pool_thread::state {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::packaged_task<void()>> tasks;
  bool stopping = false;

  void stop() {
    const std::lock_guard guard{mutex};
    stopping = true;
    changed.notify_one();
  }

  void run() {
    std::unique_lock guard{mutex};
    for (;;) {
      changed.wait(guard, [this] { return stopping || !tasks.empty(); });
      if (tasks.empty())
        return;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      guard.unlock();
      task();
      guard.lock();
    }
  }
};

pool_thread::pool_thread() : state_{std::make_shared<state>()}, thread_{[state = state_] { state->run(); }} {
  // nop
}

pool_thread::~pool_thread() {
  if (!thread_.joinable())
    return;
  state_->stop();
  thread_.join();
}

std::future<void> pool_thread::post(std::function<void()> f) {
  std::packaged_task<void()> task{[f = std::move(f)]() mutable {
    struct forget_system {
      ~forget_system() { caf::logger::set_current_actor_system(nullptr); }
    } afterwards;
    f();
    f = nullptr; // what it holds goes on this thread, before who waits goes on
  }};
  auto result = task.get_future();
  const std::lock_guard guard{state_->mutex};
  state_->tasks.push_back(std::move(task));
  state_->changed.notify_one();
  return result;
}

void pool_thread::leave() {
  state_->stop();
  thread_.detach();
}

} // namespace cluster_channel::detail
