#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/transport.hpp>

namespace cluster_channel::detail {

void transport::start(channel& link) {
  target_ = link.connect(shared_from_this());
  started_.store(target_.get(), std::memory_order_release);
  announce_all(); // if the channel was connected before
  readiness_changed();
}

void transport::handlers_changed(const handler_key& key) {
  announce(key);
}

void transport::request_received(pending_call_ptr call) {
  if (auto bus = bus_.lock())
    bus->handle(std::move(call));
}

void transport::connected() {
  announce_all();
}

void transport::registration_changed(const handler_key& key) {
  if (auto bus = bus_.lock())
    bus->registration_changed(key);
}

void transport::readiness_changed() {
  if (auto bus = bus_.lock())
    bus->readiness_changed();
}

bool transport::may_reconnect(const std::string& slot) const {
  auto bus = bus_.lock();
  return bus && bus->may_reconnect(slot);
}

void transport::announce_all() {
  announce({});
}

void transport::announce(const handler_key& changed) {
  to_announce_.add(changed, [this](const handler_key& key) {
    auto bus = bus_.lock();
    auto* to = target();
    if (!bus || !to)
      return;
    if (key.slot.empty()) {
      announced_.clear();
      for (auto& x : bus->handled()) {
        to->announce(handler_registered{x.slot, x.param});
        announced_.insert(std::move(x));
      }
      if (!ignored_.empty())
        to->announce(event_list{ignored_});
      return;
    }
    const auto now = bus->handles(key);
    if (now == announced_.contains(key))
      return;
    if (now) {
      announced_.insert(key);
      to->announce(handler_registered{key.slot, key.param});
    } else {
      announced_.erase(key);
      to->announce(handler_unregistered{key.slot, key.param});
    }
  });
}

} // namespace cluster_channel::detail
