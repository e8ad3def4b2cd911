#include <cluster_channel/channels/router_target.hpp>

#include <caf/send.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

namespace cluster_channel::detail {

template <class T>
void router_target::send(T&& msg) {
  std::shared_lock guard{mutex_};
  if (router_)
    caf::anon_send(router_, std::forward<T>(msg));
}

void router_target::submit(pending_call_ptr call) {
  send(std::move(call));
}

void router_target::broadcast(fan_out_ptr calls) {
  send(std::move(calls));
}

caf::error router_target::announce(const message& registration) {
  send(announce_to_nodes{registration});
  return {};
}

void router_target::answer_child(child_answer answer) {
  send(std::move(answer));
}

readiness router_target::ready_for(const std::string& slot, const std::string&) const {
  if (!ignores_some_.load(std::memory_order_relaxed))
    return readiness::holds_calls;
  std::shared_lock guard{mutex_};
  return ignored_.contains(slot) && !registered_.contains(slot) ? readiness::ignored : readiness::holds_calls;
}

std::vector<std::string> router_target::params_of(const std::string& slot) const {
  std::shared_lock guard{mutex_};
  auto pos = registered_.find(slot);
  if (pos == registered_.end())
    return {};
  return {pos->second.begin(), pos->second.end()};
}

bool router_target::has_handler(const std::string& slot, const std::string& param) const {
  std::shared_lock guard{mutex_};
  auto pos = registered_.find(slot);
  return pos != registered_.end() && pos->second.contains(param);
}

void router_target::learn(const message& announcement, channel_listener& bus) {
  if (const auto* added = std::get_if<handler_registered>(&announcement))
    learn({added->slot, added->param}, true, bus);
  else if (const auto* removed = std::get_if<handler_unregistered>(&announcement))
    learn({removed->slot, removed->param}, false, bus);
  else if (const auto* list = std::get_if<event_list>(&announcement))
    learn(*list, bus);
}

void router_target::learn(const handler_key& key, bool registered, channel_listener& bus) {
  std::unique_lock guard{mutex_};
  const auto ignored = ignored_.contains(key.slot);
  if (registered)
    registered_[key.slot].insert(key.param);
  else if (auto pos = registered_.find(key.slot); pos != registered_.end() && pos->second.erase(key.param) > 0)
    if (pos->second.empty())
      registered_.erase(pos);
  guard.unlock();
  bus.registration_changed(key);
  if (ignored)
    bus.readiness_changed(); // for all parameters of the slot
}

void router_target::learn(const event_list& list, channel_listener& bus) {
  std::unique_lock guard{mutex_};
  for (const auto& slot : bus.slots()) // the bus asks for no other
    if (std::find(list.ignored.begin(), list.ignored.end(), slot.name) != list.ignored.end())
      ignored_.insert(slot.name);
  ignores_some_.store(!ignored_.empty());
  guard.unlock();
  bus.readiness_changed();
}

void router_target::detach() {
  std::unique_lock guard{mutex_};
  router_ = nullptr;
}

} // namespace cluster_channel::detail
