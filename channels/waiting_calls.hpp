// The calls of one slot that wait until every far end has a handler, first in first out for each parameter.
#pragma once

#include <cluster_channel/channels/timers.hpp>
#include <cluster_channel/serialization/error.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace cluster_channel::detail {

class bus_core;

/// Thread-safe. Its bounds are the bus's, see bus_core::begin_waiting.
class waiting_calls {
public:
  struct call {
    std::function<void(bus_core*, const failure&)> end; ///< sends the call on its way, or without a bus fails it
    std::size_t size = 0;                               ///< bytes of its request
    timer_service::timer_id timer = 0;
    std::uint64_t id = 0;
  };

  /// @returns the call's id.
  std::uint64_t add(const std::string& param, call x);

  /// @returns false if the call does not wait any more.
  bool set_timer(const std::string& param, std::uint64_t id, timer_service::timer_id timer);

  /// Takes out all calls for `param`, oldest first.
  std::deque<call> take(const std::string& param);

  /// Takes out one call, if it waits.
  std::optional<call> take(const std::string& param, std::uint64_t id);

  std::vector<std::string> params() const;

  /// May be asked without a lock on the way of every call.
  bool empty() const noexcept { return count_.load() == 0; }

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::deque<call>> calls_;
  std::uint64_t last_id_ = 0;
  std::atomic<std::size_t> count_{0};
};

} // namespace cluster_channel::detail
