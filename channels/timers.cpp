#include <cluster_channel/actors/deadline_queue.hpp>
#include <cluster_channel/actors/detail/clean_spawn.hpp>
#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/actors/detail/saturating.hpp>
#include <cluster_channel/channels/timers.hpp>

#include <caf/actor_clock.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/send.hpp>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace cluster_channel {

namespace {

using time_point = std::chrono::steady_clock::time_point;

/// Timers in the order in which they are due. Not thread-safe.
class timer_list {
public:
  timer_service::timer_id add(time_point due, std::function<void()> f) {
    const auto id = ++last_id_;
    due_.emplace(id, due);
    timers_.emplace(std::pair{due, id}, std::move(f));
    return id;
  }

  /// Takes a timer out. @returns its function, to be destroyed without a lock.
  std::function<void()> remove(timer_service::timer_id id) {
    auto pos = due_.find(id);
    if (pos == due_.end())
      return nullptr;
    auto node = timers_.extract({pos->second, id});
    due_.erase(pos);
    return std::move(node.mapped());
  }

  /// Takes out the first timer if it is due.
  std::function<void()> take_due(time_point now) {
    return !timers_.empty() && timers_.begin()->first.first <= now ? remove(timers_.begin()->first.second) : nullptr;
  }

  std::optional<time_point> next() const {
    if (timers_.empty())
      return std::nullopt;
    return timers_.begin()->first.first;
  }

  /// Takes out all.
  timer_list take_all() noexcept { return std::exchange(*this, {}); }

private:
  std::map<std::pair<time_point, timer_service::timer_id>, std::function<void()>> timers_;
  std::unordered_map<timer_service::timer_id, time_point> due_;
  timer_service::timer_id last_id_ = 0;
};

// -- a thread -----------------------------------------------------------------

class timer_thread final : public timer_service {
public:
  timer_thread() = default;
  timer_thread(const timer_thread&) = delete;
  timer_thread& operator=(const timer_thread&) = delete;

  ~timer_thread() override {
    if (mark_.in_copy()) { // without that thread
      if (thread_.joinable())
        thread_.detach();
      return;
    }
    std::unique_lock guard{state_->mutex};
    state_->stopping = true;
    auto dropped = state_->timers.take_all();
    guard.unlock();
    state_->changed.notify_all();
    if (thread_.get_id() == std::this_thread::get_id())
      thread_.detach(); // one of the functions holds the last reference: the thread ends when that has returned
    else if (thread_.joinable())
      thread_.join();
  }

  timer_id schedule(caf::timespan delay, std::function<void()> f) override {
    if (mark_.in_copy())
      throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
    const auto due = detail::after(std::chrono::steady_clock::now(), delay);
    std::lock_guard guard{state_->mutex};
    if (!thread_.joinable())
      thread_ = std::thread{[state = state_] { run(*state); }};
    const auto first = state_->timers.next();
    const auto id = state_->timers.add(due, std::move(f));
    if (!first || due < *first)
      state_->changed.notify_all();
    return id;
  }

  void cancel(timer_id timer) noexcept override {
    if (mark_.in_copy())
      return;
    std::unique_lock guard{state_->mutex};
    const auto f = state_->timers.remove(timer);
    guard.unlock();
  }

private:
  /// Shared with the thread, which may outlive the service by the function it runs.
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    timer_list timers;
    bool stopping = false;
  };

  static void run(state& x) {
    std::unique_lock guard{x.mutex};
    while (!x.stopping) {
      if (auto f = x.timers.take_due(std::chrono::steady_clock::now())) {
        guard.unlock();
        f();
        f = nullptr;
        guard.lock();
      } else if (const auto next = x.timers.next(); next && *next < time_point::max()) {
        x.changed.wait_until(guard, *next);
      } else {
        x.changed.wait(guard);
      }
    }
  }

  const detail::fork_mark mark_;
  const std::shared_ptr<state> state_ = std::make_shared<state>();
  std::thread thread_;
};

// -- an actor -----------------------------------------------------------------

struct tick {
  time_point when;
};

} // namespace

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::tick)

namespace cluster_channel {

namespace {

class actor_timers final : public timer_service {
public:
  explicit actor_timers(caf::actor_system& system) : state_{std::make_shared<state>(system)} {
    actor_ = detail::spawn_cleanly(system, [&]() -> caf::actor {
      return system.spawn<caf::hidden>([x = state_](caf::event_based_actor* self) -> caf::behavior {
        return {[x, self](const tick& msg) { x->run_due(caf::actor_cast<caf::actor>(self), msg.when); }};
      });
    });
  }

  actor_timers(const actor_timers&) = delete;
  actor_timers& operator=(const actor_timers&) = delete;

  ~actor_timers() override {
    std::unique_lock guard{state_->mutex};
    auto dropped = state_->timers.take_all();
    guard.unlock();
    caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown);
  }

  timer_id schedule(caf::timespan delay, std::function<void()> f) override {
    std::lock_guard guard{state_->mutex};
    const auto id = state_->timers.add(detail::after(state_->now(), delay), std::move(f));
    state_->arm(actor_);
    return id;
  }

  void cancel(timer_id timer) noexcept override {
    std::unique_lock guard{state_->mutex};
    const auto f = state_->timers.remove(timer);
    guard.unlock();
  }

private:
  struct state {
    explicit state(caf::actor_system& its_system) : system{its_system} {}

    time_point now() const { return system.clock().now(); }

    void run_due(const caf::actor& self, time_point tick_came) {
      std::unique_lock guard{mutex};
      ticks.ticked(tick_came);
      while (auto f = timers.take_due(now())) {
        guard.unlock();
        f();
        f = nullptr;
        guard.lock();
      }
      arm(self);
    }

    /// Sends `self` a tick for the first timer, unless one is on its way that comes in time. `mutex` is held.
    void arm(const caf::actor& self) {
      const auto next = timers.next();
      if (!next || *next == time_point::max())
        return;
      const auto at = now();
      if (const auto when = ticks.arm(at, *next))
        caf::delayed_anon_send(self, *when - at, tick{*when});
    }

    caf::actor_system& system;
    std::mutex mutex;
    timer_list timers;
    tick_schedule ticks;
  };

  const std::shared_ptr<state> state_;
  caf::actor actor_;
};

} // namespace

std::shared_ptr<timer_service> make_timer_thread() {
  return std::make_shared<timer_thread>();
}

std::shared_ptr<timer_service> make_actor_timers(caf::actor_system& system) {
  return std::make_shared<actor_timers>(system);
}

} // namespace cluster_channel
