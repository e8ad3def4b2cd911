// What an event bus needs of a channel, and a channel of a bus.
#pragma once

#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/serialization/message.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace cluster_channel {

/// The far end as the bus sees it. All functions are thread-safe and return at once.
class call_target {
public:
  virtual ~call_target() = default;

  /// Sends a call; it ends through `call->finish`, whatever happens to the channel.
  virtual void submit(pending_call_ptr call) = 0;

  /// Tells the far end that the first handler of a slot and parameter came, or that the last one went.
  virtual void announce(const message& registration) = 0;

  /// For calls without a timeout of their own.
  virtual caf::timespan default_timeout() const noexcept = 0;
};

/// What a bus tells a channel when it connects.
struct bus_connection {
  std::vector<slot_declaration> slots;

  /// The handlers there are now. Thread-safe, like the next one.
  std::function<std::vector<handler_registered>()> registrations;

  /// Runs the bus's handlers for a call from the far end. Thread-safe; safe to call after the bus is gone, when every
  /// call fails. A handler runs on the calling thread.
  std::function<void(pending_call_ptr)> on_request;
};

/// A two-way link between an event bus and one far end.
class channel {
public:
  virtual ~channel() = default;

  /// Called once, by the bus that is made with this channel. The target outlives the channel if the bus does; calls
  /// then fail with `channel_closed`.
  /// @throws std::logic_error if the channel already serves a bus.
  virtual std::shared_ptr<call_target> connect(bus_connection bus) = 0;
};

} // namespace cluster_channel
