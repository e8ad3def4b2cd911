// The calls of one slot that wait until every far end has a handler, first in first out for each parameter.
#pragma once

#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/channels/timers.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cluster_channel::detail {

class answers_collector;

/// How one call is made.
struct call_details {
  shared_text param;
  caf::timespan timeout;
  caf::timespan wait_timeout;
  caf::timespan run_timeout;
};

/// Thread-safe; the calls themselves are neither made nor destroyed under its lock, and it takes O(log n) for one of n.
/// Its bounds are the bus's, see bus_core::begin_waiting.
class waiting_calls {
public:
  struct call {
    std::shared_ptr<const void> request;
    call_details how;
    std::shared_ptr<answer_sink> result;
    std::shared_ptr<answers_collector> all; ///< of a call for all answers, else null
    std::size_t size = 0;                   ///< bytes of its request
    timer_service::timer_id timer = 0;
  };
  using call_ptr = std::unique_ptr<call>;

  /// @returns the call's id; 0, and then `x` is not moved from, after `close`.
  std::uint64_t add(call_ptr& x);

  /// @returns false if the call does not wait any more.
  bool set_timer(const std::string& param, std::uint64_t id, timer_service::timer_id timer);

  /// Whether a call for `param` made now must queue up so as not to overtake those before it. Not one that is made from
  /// within `send` of the same parameter: whoever sends may wait for it.
  bool must_queue(const std::string& param) const;

  /// Takes out the calls for `param`, oldest first, and gives them to `send(call)` as long as `ready()`. One thread at
  /// a time does so for a parameter, without a lock; others leave it to that one. It sends what waits as it begins, and
  /// no more, lest those who go on calling keep it for good.
  /// @returns whether calls came meanwhile: then the caller sees to it that `go_on` is called soon, by a thread that
  ///          holds up nobody. Once for each `go_on`.
  template <class Ready, class Send>
  bool release(const std::string& param, Ready ready, Send send) {
    std::unique_lock guard{mutex_};
    auto pos = queues_.find(param);
    if (pos == queues_.end())
      return false;
    auto& waiting = pos->second; // stays while it has a sender
    waiting.again = true;
    if (waiting.sender != std::thread::id{})
      return false;
    const auto last = last_id_;
    const sending role{*this, guard, pos};
    const auto has_next = [&] { return !waiting.calls.empty() && waiting.calls.begin()->first <= last; };
    const auto can_go = [&] {
      guard.unlock();
      const auto result = ready();
      guard.lock();
      return result;
    };
    while (std::exchange(waiting.again, false))
      while (has_next() && can_go() && has_next()) {
        auto next = waiting.calls.extract(waiting.calls.begin());
        guard.unlock();
        send(std::move(next.mapped()));
        guard.lock();
      }
    return !waiting.calls.empty() && !has_next() && !std::exchange(waiting.handed_over, true);
  }

  /// `release` for what came meanwhile.
  template <class Ready, class Send>
  bool go_on(const std::string& param, Ready ready, Send send) {
    {
      std::lock_guard guard{mutex_};
      if (auto pos = queues_.find(param); pos != queues_.end())
        pos->second.handed_over = false;
    }
    return release(param, std::move(ready), std::move(send));
  }

  /// Takes out one call; null if it does not wait.
  call_ptr take(const std::string& param, std::uint64_t id);

  /// Takes out all calls, oldest first, and takes no more.
  std::vector<call_ptr> close();

  std::vector<std::string> params() const;

  /// Whether no call waits or is being sent. May be asked without a lock on the way of every call.
  bool empty() const noexcept { return count_.load() == 0; }

private:
  struct queue {
    std::map<std::uint64_t, call_ptr> calls; // by their ids, which grow
    std::thread::id sender;                  // who sends them now
    bool again = false;                      // they may be able to go
    bool handed_over = false;                // `go_on` will be called
  };
  using queues = std::map<std::string, queue>;

  /// Makes this thread the sender of a queue, and not any more when it is done or something throws.
  class sending {
  public:
    sending(waiting_calls& calls, std::unique_lock<std::mutex>& guard, queues::iterator pos)
        : calls_{calls}, guard_{guard}, pos_{pos} {
      pos_->second.sender = std::this_thread::get_id();
    }
    sending(const sending&) = delete;
    sending& operator=(const sending&) = delete;
    ~sending() {
      if (!guard_.owns_lock())
        guard_.lock();
      pos_->second.sender = {};
      calls_.forget_if_done(pos_);
    }

  private:
    waiting_calls& calls_;
    std::unique_lock<std::mutex>& guard_;
    queues::iterator pos_;
  };

  void forget_if_done(queues::iterator pos);

  mutable std::mutex mutex_;
  queues queues_;
  std::uint64_t last_id_ = 0;
  bool closed_ = false;
  std::atomic<std::size_t> count_{0}; // of queues
};

} // namespace cluster_channel::detail
