#include <cluster_channel/actors/kept_calls.hpp>

#include <algorithm>
#include <iterator>

namespace cluster_channel {

kept_calls::verdict kept_calls::look_at(const request& call) const {
  if (registered_.contains({call.slot, call.param}))
    return verdict::goes;
  if (ignored_.contains(call.slot))
    return verdict::ignored;
  return waiting_ ? verdict::waits : verdict::no_handler;
}

void kept_calls::learn(const message& msg) {
  if (const auto* added = std::get_if<handler_registered>(&msg))
    registered_.emplace(added->slot, added->param);
  else if (const auto* removed = std::get_if<handler_unregistered>(&msg))
    registered_.erase({removed->slot, removed->param});
  else if (const auto* list = std::get_if<event_list>(&msg))
    ignored_ = {list->ignored.begin(), list->ignored.end()};
}

std::deque<request> kept_calls::take_decided() {
  const auto first = std::stable_partition(kept_.begin(), kept_.end(),
                                           [this](const request& x) { return look_at(x) == verdict::waits; });
  std::deque<request> result{std::make_move_iterator(first), std::make_move_iterator(kept_.end())};
  kept_.erase(first, kept_.end());
  return result;
}

} // namespace cluster_channel
