#include <cluster_channel/actors/bus_feed.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <utility>

namespace cluster_channel {

bus_feed::bus_feed(send_function send, std::function<void()> on_room, flow_window::limits most)
    : send_{std::move(send)}, window_{most, std::move(on_room)} {
  // nop
}

void bus_feed::changed(const handler_key& key, bool registered) {
  if (auto pos = handlers_.find(key); pos != handlers_.end()) {
    if (pos->second != registered)
      handlers_.erase(pos); // the bus was told last what is so again
    return;
  }
  if (waiting() == 0 && may_send())
    send(key, registered);
  else
    handlers_.emplace(key, registered);
}

void bus_feed::ignored(const event_list& list) {
  if (waiting() == 0 && may_send()) {
    std::size_t size = 0;
    for (const auto& slot : list.ignored)
      size += slot.size();
    send(list, size);
    return;
  }
  for (const auto& slot : list.ignored) {
    if (ignored_.size() >= frame_items_max || ignored_bytes_ + slot.size() > registration_bytes_max)
      return; // more than any declaration has
    if (ignored_.insert(slot).second)
      ignored_bytes_ += slot.size();
  }
}

void bus_feed::send_more() {
  while (!handlers_.empty() && may_send()) {
    const auto next = handlers_.extract(handlers_.begin());
    send(next.key(), next.mapped());
  }
  if (ignored_.empty() || !handlers_.empty() || !may_send())
    return;
  const auto names = std::exchange(ignored_, {});
  send(event_list{{names.begin(), names.end()}}, std::exchange(ignored_bytes_, 0));
}

bool bus_feed::may_send() {
  return !window_.full() || !window_.await_room();
}

void bus_feed::send(const handler_key& key, bool registered) {
  const auto size = key.slot.size() + key.param.size();
  if (registered)
    send(handler_registered{key.slot, key.param}, size);
  else
    send(handler_unregistered{key.slot, key.param}, size);
}

void bus_feed::send(message what, std::size_t bytes) {
  send_({std::move(what), window_.take(bytes)});
}

} // namespace cluster_channel
