// A thread of a pool's own, for what leaves traces on the thread that does it, or may wait for a long time.
//
// CAF keeps a pointer to its logger on every thread that makes an actor system or spawns an actor, and a system cannot
// be destroyed while another thread has that pointer. So no thread of a user does either.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <thread>

namespace cluster_channel::detail {

class pool_thread {
public:
  /// @throws std::system_error if the system has no thread left.
  pool_thread();

  pool_thread(const pool_thread&) = delete;
  pool_thread& operator=(const pool_thread&) = delete;

  /// Waits for all that was posted, unless it was left.
  ~pool_thread();

  /// Runs `f` there after what was posted before. What it throws is in the future, which does not wait for it when it
  /// is destroyed.
  std::future<void> post(std::function<void()> f);

  /// Lets the thread end by itself when all that was posted is done.
  void leave();

private:
  struct state;

  std::shared_ptr<state> state_;
  std::thread thread_;
};

} // namespace cluster_channel::detail
