#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/transport.hpp>

#include <chrono>
#include <system_error>

namespace cluster_channel::detail {

namespace {

/// Until a channel that refused an announcement is asked again.
constexpr caf::timespan refused_pause = std::chrono::milliseconds{100};

// Keys that stand for all handlers.
const handler_key new_connection{{}, "connected"}; // nothing was said on it
const handler_key all_again{{}, "again"};          // some was refused before

} // namespace

void transport::connect(channel& link) {
  target_ = link.connect(shared_from_this());
}

void transport::start() {
  started_.store(target_.get(), std::memory_order_release);
  look(new_connection); // if the channel was connected before
  readiness_changed();
}

/// Null if it is gone, or about to go.
std::shared_ptr<bus_core> transport::open_bus() const {
  auto result = bus_.lock();
  return result && !result->closed() ? result : nullptr;
}

void transport::handlers_changed(const handler_key& key) {
  look(key);
}

void transport::request_received(pending_call_ptr call) {
  if (auto bus = open_bus())
    bus->handle(std::move(call));
}

void transport::connected() {
  look(new_connection);
}

void transport::registration_changed(const handler_key& key) {
  if (auto bus = open_bus())
    bus->registration_changed(key);
}

void transport::readiness_changed() {
  if (auto bus = open_bus())
    bus->readiness_changed();
}

bool transport::may_reconnect(const std::string& slot) const {
  auto bus = bus_.lock();
  return bus && bus->may_reconnect(slot);
}

void transport::look(const handler_key& changed) {
  to_look_at_.add(changed, [this](const handler_key& key) {
    const auto bus = bus_.lock();
    if (!bus || !target())
      return;
    if (key == new_connection) {
      announced_.clear();
      told_ignored_ = false;
    } else if (key == all_again) {
      looks_again_ = false;
    }
    if (!(key.slot.empty() ? announce_all(*bus) : announce(*bus, key)))
      look_again_later();
  });
}

/// @returns whether all that differed was said; so do those below.
bool transport::announce_all(const bus_core& bus) {
  auto keys = bus.handled();
  keys.insert(keys.end(), announced_.begin(), announced_.end());
  bool result = true;
  for (const auto& key : keys)
    result = announce(bus, key) && result;
  return announce_ignored() && result;
}

bool transport::announce(const bus_core& bus, const handler_key& key) {
  const auto now = bus.handles(key);
  if (now == announced_.contains(key))
    return true;
  if (now ? target()->announce(handler_registered{key.slot, key.param})
          : target()->announce(handler_unregistered{key.slot, key.param}))
    return false;
  if (now)
    announced_.insert(key);
  else
    announced_.erase(key);
  return true;
}

bool transport::announce_ignored() {
  if (!told_ignored_)
    told_ignored_ = ignored_.empty() || !target()->announce(event_list{ignored_});
  return told_ignored_;
}

void transport::look_again_later() {
  if (looks_again_)
    return;
  try {
    timers_->schedule(refused_pause, [me = weak_from_this()] {
      if (auto self = me.lock())
        self->look(all_again);
    });
    looks_again_ = true;
  } catch (const std::system_error&) {
    looks_again_ = false; // no thread for a timer: the next handler that comes or goes tries again
  }
}

} // namespace cluster_channel::detail
