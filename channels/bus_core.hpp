// The untyped half of an event bus: its slots by name, its transports, and the bounds of what waits.
//
// Users see event_bus.hpp and slot.hpp. Thread-safe.
#pragma once

#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/channels/bus_options.hpp>
#include <cluster_channel/channels/transport.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cluster_channel::detail {

class bus_core;

/// One slot as the bus core sees it.
class slot_base {
public:
  virtual ~slot_base() = default;

  /// Runs the local handlers for an encoded call from a far end.
  virtual void handle(pending_call_ptr call) = 0;

  /// The parameters for which this slot has handlers.
  virtual std::vector<std::string> handled_params() const = 0;
  virtual bool handles(const std::string& param) const = 0;

  /// A far end registered its handler for `param`, or took it back.
  virtual void registration_changed(const std::string& param) = 0;

  /// Calls that wait may be able to go.
  virtual void readiness_changed() = 0;

  virtual bool auto_reconnect() const noexcept = 0;

  /// The bus goes: calls that wait fail, and none waits any more.
  virtual void close(bus_core& bus) = 0;
};

class bus_core : public std::enable_shared_from_this<bus_core> {
public:
  explicit bus_core(bus_options options);
  bus_core(const bus_core&) = delete;
  bus_core& operator=(const bus_core&) = delete;
  ~bus_core();

  /// Adds a slot; to be called before `connect`.
  void add(slot_declaration declaration, const json_form& form, std::shared_ptr<slot_base> slot);

  /// Remembers that the declaration has a slot that this bus ignores.
  void add_ignored(std::string name) { ignored_.push_back(std::move(name)); }

  /// Whether `name` is among the options' ignored events.
  bool ignores(std::string_view name) const;

  /// Connects to the far ends of the options' channels. To be called once, after all slots were added.
  /// @throws std::invalid_argument if an ignored event is no slot; whatever the channels' `connect` throws.
  void connect();

  /// Ends the calls that wait, on this thread: none is made, no handler is run for one, from now on. Other threads may
  /// hold this core for a while yet.
  void close();
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

  /// Whether this process is a forked copy of the one that made this bus, whose far ends it has not.
  bool is_cut_off() const noexcept { return !transports_.empty() && mark_.in_copy(); }

  const std::vector<std::shared_ptr<transport>>& transports() const noexcept { return transports_; }
  timer_service& timers() noexcept { return *timers_; }
  const std::shared_ptr<timer_service>& shared_timers() const noexcept { return timers_; }
  const bus_options& options() const noexcept { return options_; }

  /// A call with `size` payload bytes begins to wait. @returns false if the buffer is full.
  bool begin_waiting(std::size_t size) noexcept;
  void end_waiting(std::size_t size) noexcept;

  /// The first local handler for `key` came, or the last one went.
  void handlers_changed(const handler_key& key) const;

  // -- for transports ---------------------------------------------------------

  /// Runs the handlers of the slot that `call` names.
  void handle(pending_call_ptr call) const;

  /// All local handlers.
  std::vector<handler_key> handled() const;
  bool handles(const handler_key& key) const;
  void registration_changed(const handler_key& key) const;
  void readiness_changed() const;
  bool may_reconnect(const std::string& slot) const;

private:
  slot_base* find(const std::string& name) const;

  const fork_mark mark_;
  const bus_options options_;
  const std::shared_ptr<timer_service> timers_;
  std::vector<slot_declaration> declarations_;
  json_forms forms_;
  std::vector<std::string> ignored_;
  std::unordered_map<std::string, std::shared_ptr<slot_base>> slots_;
  std::vector<std::shared_ptr<transport>> transports_; // complete before the first channel is connected
  std::atomic<bool> closed_{false};
  std::mutex waiting_mutex_;
  std::size_t waiting_calls_ = 0;
  std::size_t waiting_bytes_ = 0;
};

} // namespace cluster_channel::detail
