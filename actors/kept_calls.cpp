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

void kept_calls::keep(request call) {
  auto& its = kept_[{call.slot, call.param}];
  its.push_back(std::move(call));
}

void kept_calls::learn(const message& msg) {
  if (const auto* added = std::get_if<handler_registered>(&msg)) {
    registered_.emplace(added->slot, added->param);
    if (auto pos = kept_.find({added->slot, added->param}); pos != kept_.end())
      release(pos);
  } else if (const auto* removed = std::get_if<handler_unregistered>(&msg)) {
    registered_.erase({removed->slot, removed->param});
  } else if (const auto* list = std::get_if<event_list>(&msg)) {
    ignored_ = {list->ignored.begin(), list->ignored.end()};
    for (const auto& slot : ignored_)
      for (auto pos = kept_.lower_bound({slot, {}}); pos != kept_.end() && pos->first.first == slot;)
        pos = release(pos);
  }
}

void kept_calls::stop_waiting() {
  waiting_ = false;
  for (auto pos = kept_.begin(); pos != kept_.end();)
    pos = release(pos);
}

std::deque<request> kept_calls::take_decided() {
  auto result = std::exchange(decided_, {});
  std::sort(result.begin(), result.end(), [](const request& x, const request& y) { return x.id < y.id; });
  return result;
}

kept_calls::calls_by_key::iterator kept_calls::release(calls_by_key::iterator pos) {
  std::move(pos->second.begin(), pos->second.end(), std::back_inserter(decided_));
  return kept_.erase(pos);
}

} // namespace cluster_channel
