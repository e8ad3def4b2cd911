#include <cluster_channel/channels/router_target.hpp>

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

namespace cluster_channel::detail {

namespace {

constexpr const char* router_ended_text = "the pool has ended: its router takes no more calls";

} // namespace

std::shared_ptr<router_target> router_target::make(const caf::actor& router, std::shared_ptr<router_inbox> inbox,
                                                   caf::timespan timeout) {
  auto result = std::make_shared<router_target>(router, std::move(inbox), timeout);
  router->attach_functor([target = std::weak_ptr{result}](const caf::error& reason) {
    auto self = target.lock();
    if (!self)
      return;
    if (reason == caf::exit_reason::user_shutdown)
      self->detach();
    else
      self->detach(router_ended_text + (": it ended with " + describe(reason)));
  });
  return result;
}

template <class Item>
router_inbox::outcome router_target::send(std::shared_ptr<Item>& item, std::size_t bytes, bool bounded) {
  if (mark_.in_copy())
    return router_inbox::outcome::closed;
  const auto result = inbox_->push(item, bytes, bounded);
  if (result == router_inbox::outcome::wake)
    wake_router();
  return result;
}

void router_target::wake_router() const {
  try {
    std::shared_lock guard{mutex_};
    if (router_)
      caf::anon_send(router_, inbox_filled{});
  } catch (const std::bad_alloc&) {
    // Nobody else would wake it for what is on its way.
    auto lost = inbox_->take();
    inbox_->arrived(lost.size(), lost.bytes());
    while (auto item = lost.next())
      if (item->what() == inbox_item::kind::call)
        static_cast<pending_call&>(*item).fail(errc::buffer_full, "no memory is left to wake the pool's router");
  }
}

void router_target::submit(pending_call_ptr call) {
  const auto size = call->data.size();
  const auto result = send(call, size, true);
  if (result == router_inbox::outcome::full)
    call->fail(errc::buffer_full, "the buffer is full: too many calls, or bytes of requests, wait or are on their way "
                                  "to the pool; slow down, or raise buffer_calls_max or buffer_bytes_max");
  else if (result == router_inbox::outcome::closed)
    call->fail(errc::channel_closed, why_closed());
}

void router_target::broadcast(fan_out_ptr calls) {
  const auto size = calls->bytes();
  const auto result = send(calls, size, true);
  if (result == router_inbox::outcome::full)
    for (auto& call : calls->open(1))
      call->fail(errc::buffer_full, "the buffer is full: too many calls, or bytes of requests, wait or are on their "
                                    "way to the pool; slow down, or raise buffer_calls_max or buffer_bytes_max");
  else if (result == router_inbox::outcome::closed)
    for (auto& call : calls->open(1))
      call->fail(errc::channel_closed, why_closed());
}

caf::error router_target::announce(const message& registration) {
  auto msg = std::make_shared<bus_message>(announce_to_nodes{registration});
  send(msg, 0, false);
  return {};
}

void router_target::answer_child(child_answer answer) {
  auto msg = std::make_shared<bus_message>(std::move(answer));
  send(msg, 0, false);
}

void router_target::let_answers_go(answers_may_go which) {
  auto msg = std::make_shared<bus_message>(std::move(which));
  send(msg, 0, false);
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

std::string router_target::why_closed() const {
  if (mark_.in_copy())
    return "the channel belongs to the process of which this one is a forked copy";
  std::shared_lock guard{mutex_};
  return why_detached_.empty() ? router_ended_text : why_detached_;
}

void router_target::detach(const std::string& why) {
  {
    std::unique_lock guard{mutex_};
    if (why_detached_.empty())
      why_detached_ = why;
  }
  inbox_->close(); // which ends calls, and so without the lock
  std::unique_lock guard{mutex_};
  const auto last = std::exchange(router_, nullptr);
  guard.unlock();
}

} // namespace cluster_channel::detail
