// The untyped half of an event bus: its slots by name, and its far ends.
//
// Users see event_bus.hpp and slot.hpp. Thread-safe.
#pragma once

#include <cluster_channel/channels/channel.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cluster_channel::detail {

/// One slot as the bus core sees it.
class slot_base {
public:
  virtual ~slot_base() = default;

  /// Runs the local handlers for an encoded call from the far end.
  virtual void handle(pending_call_ptr call) = 0;

  /// The parameters for which this slot has handlers.
  virtual std::vector<std::string> handled_params() const = 0;
};

class bus_core : public std::enable_shared_from_this<bus_core> {
public:
  /// Adds a slot; to be called before `connect`.
  void add(slot_declaration declaration, std::shared_ptr<slot_base> slot);

  /// Connects to the far end of `link`.
  void connect(channel& link);

  /// The far ends; fixed once the bus is made.
  const std::vector<std::shared_ptr<call_target>>& far_ends() const noexcept { return far_ends_; }

  /// Tells every far end of a first or last handler.
  void announce(const message& registration) const;

  /// Runs the handlers of the slot that `call` names.
  void handle(pending_call_ptr call) const;

private:
  std::vector<slot_declaration> declarations_;
  std::unordered_map<std::string, std::shared_ptr<slot_base>> slots_;
  std::vector<std::shared_ptr<call_target>> far_ends_;
};

} // namespace cluster_channel::detail
