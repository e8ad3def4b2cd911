// The bus's bookkeeping for one channel: announces the bus's handlers, and passes on what the far end does.
//
// Users see event_bus.hpp and channel.hpp. Thread-safe.
#pragma once

#include <cluster_channel/channels/channel.hpp>
#include <cluster_channel/channels/serial_queue.hpp>

#include <atomic>
#include <memory>
#include <set>
#include <vector>

namespace cluster_channel::detail {

class bus_core;

/// Announcements are made by comparing what was said with what is, one handler at a time, so that the far end ends up
/// with the truth however handlers come, go and connections break at the same time. One that the channel refuses is not
/// said yet: everything is compared again after a pause.
class transport final : public channel_listener, public std::enable_shared_from_this<transport> {
public:
  transport(std::weak_ptr<bus_core> bus, std::vector<slot_declaration> slots, std::shared_ptr<const json_forms> forms,
            std::vector<std::string> ignored, std::shared_ptr<timer_service> timers)
      : bus_{std::move(bus)},
        slots_{std::move(slots)},
        forms_{std::move(forms)},
        ignored_{std::move(ignored)},
        timers_{std::move(timers)} {}

  /// Connects to the far end of `link`. To be called once.
  void connect(channel& link);

  /// Begins to work, after `connect`.
  void start();

  /// The far end; null until `start` is done.
  call_target* target() const noexcept { return started_.load(std::memory_order_acquire); }

  /// The first local handler for `key` came, or the last one went.
  void handlers_changed(const handler_key& key);

  // -- channel_listener -------------------------------------------------------
  const std::vector<slot_declaration>& slots() const override { return slots_; }
  std::shared_ptr<const json_forms> forms() const override { return forms_; }
  void request_received(pending_call_ptr call) override;
  void connected() override;
  void registration_changed(const handler_key& key) override;
  void readiness_changed() override;
  bool may_reconnect(const std::string& slot) const override;
  timer_service& timers() override { return *timers_; }

private:
  std::shared_ptr<bus_core> open_bus() const;
  void look(const handler_key& key);
  bool announce_all(const bus_core& bus);
  bool announce(const bus_core& bus, const handler_key& key);
  bool announce_ignored();
  void look_again_later();

  const std::weak_ptr<bus_core> bus_;
  const std::vector<slot_declaration> slots_;
  const std::shared_ptr<const json_forms> forms_;
  const std::vector<std::string> ignored_;
  const std::shared_ptr<timer_service> timers_;
  std::shared_ptr<call_target> target_; // written once, before started_
  std::atomic<call_target*> started_{nullptr};
  serial_queue<handler_key> to_look_at_; // a key without a slot stands for all
  // Touched only by what the queue runs:
  std::set<handler_key> announced_;
  bool told_ignored_ = false;
  bool looks_again_ = false;
};

} // namespace cluster_channel::detail
