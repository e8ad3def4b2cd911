// What an event bus needs of a channel, and a channel of a bus.
//
// To make a channel of your own, derive from generic_channel instead, which needs one function: `send`.
#pragma once

#include <cluster_channel/actors/fan_out.hpp>
#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/actors/registration_table.hpp>
#include <cluster_channel/channels/timers.hpp>
#include <cluster_channel/serialization/json_form.hpp>
#include <cluster_channel/serialization/message.hpp>

#include <caf/error.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cluster_channel {

/// Whether a call for some slot and parameter can go to a far end now.
enum class readiness : std::uint8_t {
  disconnected, ///< it is not connected
  connecting,   ///< it is being connected again, because a call asked for it
  unregistered, ///< it is connected, and has no handler
  registered,   ///< it has a handler
  holds_calls,  ///< it takes every call, and keeps those that have no handler yet: a pool, which launches on demand
  ignored,      ///< it said that it ignores the slot
};

/// The far end as the bus sees it. All functions are thread-safe; all but `submit`, `broadcast` and `announce` return
/// at once.
class call_target {
public:
  virtual ~call_target() = default;

  /// Sends a call; it ends through `call->finish`, whatever happens to the channel.
  virtual void submit(pending_call_ptr call) = 0;

  /// Sends a call to everyone at the far end.
  virtual void broadcast(fan_out_ptr calls) {
    for (auto& call : calls->open(1))
      submit(std::move(call));
  }

  /// Tells the far end that the first handler of a slot and parameter came, that the last one went, or which slots this
  /// end ignores. Called by one thread at a time. Dropped if the far end is not connected.
  /// @returns why it cannot be told now: then it is told again after a pause.
  virtual caf::error announce(const message& registration) = 0;

  /// For calls without a timeout of their own.
  virtual caf::timespan default_timeout() const noexcept = 0;

  /// Whether a call can go now. Each change of the answer is told to the bus, see `channel_listener`.
  virtual readiness ready_for(const std::string& slot, const std::string& param) const = 0;

  /// The parameters for which the far end has a handler of `slot`.
  virtual std::vector<std::string> params_of(const std::string& slot) const = 0;

  /// Whether `param` is one of them.
  virtual bool has_handler(const std::string& slot, const std::string& param) const;

  /// Begins to connect again. @returns false if the channel cannot, or is connected.
  virtual bool reconnect() { return false; }
};

inline bool call_target::has_handler(const std::string& slot, const std::string& param) const {
  switch (ready_for(slot, param)) {
  case readiness::registered:
    return true;
  case readiness::unregistered:
  case readiness::ignored:
    return false;
  default: // says nothing of handlers
    const auto params = params_of(slot);
    return std::find(params.begin(), params.end(), param) != params.end();
  }
}

/// The bus as a channel sees it. All functions are thread-safe, and safe to call after the bus is gone.
class channel_listener {
public:
  virtual ~channel_listener() = default;

  /// The slots that the bus takes part in: its declaration without what it ignores.
  virtual const std::vector<slot_declaration>& slots() const = 0;

  /// The JSON forms of those slots, for channels that speak JSON.
  virtual std::shared_ptr<const json_forms> forms() const = 0;

  /// Runs the bus's handlers for a call from the far end, on the calling thread. Ends the call if the bus is gone.
  virtual void request_received(pending_call_ptr call) = 0;

  /// The channel was connected (again): the bus announces its handlers from within.
  virtual void connected() = 0;

  /// What `ready_for` answers for this slot and parameter has changed.
  virtual void registration_changed(const handler_key& key) = 0;

  /// What `ready_for` answers may have changed for any slot and parameter.
  virtual void readiness_changed() = 0;

  /// Whether answering a call of `slot` is reason enough to reconnect.
  virtual bool may_reconnect(const std::string& slot) const = 0;

  /// What the bus measures time limits with. Lives as long as this listener.
  virtual timer_service& timers() = 0;
};

/// A two-way link between an event bus and one far end.
class channel {
public:
  virtual ~channel() = default;

  /// Called once, by the bus that is made with this channel, which then announces its handlers. The target outlives the
  /// channel if the bus does; calls then fail with `channel_closed`.
  /// @throws std::logic_error if the channel already serves a bus.
  virtual std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) = 0;

  /// Takes a `connect` back, after which nothing else was said or called: the bus could not be made, as another of its
  /// channels failed. Another bus may be made with this channel then.
  virtual void undo_connect(const channel_listener&) {}
};

} // namespace cluster_channel
