#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/channels/message_link.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>

namespace cluster_channel::detail {

namespace {

/// Bounds of the answers that wait for a link to come back; beyond, the oldest ones go, whose callers have failed
/// already: they saw the link go down.
constexpr std::size_t late_answers_max = 10'000;
constexpr std::size_t late_bytes_max = std::size_t{64} << 20;

/// Calls under way at a time on one link.
constexpr std::size_t open_calls_max = 1'000'000;

std::size_t size_of(const answer& x) {
  if (const auto* data = std::get_if<bytes>(&x))
    return data->size();
  return std::get<failure>(x).text.size();
}

bool declares(const channel_listener& bus, const std::string& slot) {
  const auto& slots = bus.slots();
  return std::any_of(slots.begin(), slots.end(), [&](const slot_declaration& x) { return x.name == slot; });
}

failure with_capped_texts(failure&& what) {
  cap_texts(what);
  return std::move(what);
}

std::size_t size_of(const handler_key& key) {
  return key.slot.size() + key.param.size();
}

/// Sends the answer of a handler to the far end that asked.
class link_sink final : public answer_sink {
public:
  link_sink(std::shared_ptr<message_link> to, call_id id, std::string slot)
      : to_{std::move(to)}, id_{id}, slot_{std::move(slot)} {}

  void answered(answer&& x) noexcept override { to_->answer_call(id_, slot_, std::move(x)); }

private:
  std::shared_ptr<message_link> to_;
  call_id id_;
  std::string slot_;
};

} // namespace

// -- wiring -------------------------------------------------------------------

message_link::message_link(generic_channel* channel, caf::timespan timeout) : channel_{channel}, timeout_{timeout} {
  // A far end that was started anew must not take a late answer to its predecessor for one of its own.
  std::random_device random;
  last_id_ = (static_cast<call_id>(random()) << 32U) | random();
}

void message_link::attach(std::shared_ptr<channel_listener> listener) {
  std::unique_lock guard{mutex_};
  if (listener_)
    throw std::logic_error("this channel already serves an event_bus: make one channel for each bus");
  if (detached_)
    return; // calls fail, nothing comes any more
  listener_ = std::move(listener);
  const auto up = up_;
  const auto connection = connection_;
  const auto bus = listener_;
  const auto early = std::exchange(early_hello_, std::nullopt);
  guard.unlock();
  if (early)
    take_hello(*early);
  if (up && say_hello(*bus, connection))
    send_late_answers();
  if (auto* chunks = chunks_.load(); chunks && chunks->begin_watch()) // for what came before
    watch_chunks(*bus, *chunks);
}

void message_link::release(const channel_listener& listener) {
  std::unique_lock guard{mutex_};
  if (listener_.get() != &listener)
    return;
  const auto bus = std::move(listener_);
  mismatch_.reset();
  connected_ = false; // until the next bus has said its hello
  guard.unlock();
}

void message_link::detach() noexcept {
  if (mark_.in_copy()) // who is inside is not here
    return;
  {
    std::unique_lock guard{gate_mutex_};
    channel_ = nullptr;
    gate_.wait(guard, [this] { return inside_ == 0; });
  }
  std::unique_lock guard{mutex_};
  if (std::exchange(detached_, true))
    return;
  guard.unlock();
  go_down({.code = errc::channel_closed, .text = "the channel was closed before the call was answered"});
  guard.lock();
  const auto bus = std::move(listener_); // it holds this link
  guard.unlock();
}

bool message_link::has_bus() const {
  return listener() != nullptr;
}

template <class F>
bool message_link::with_channel(F f) {
  if (mark_.in_copy()) // the link is the original's
    return false;
  generic_channel* channel = nullptr;
  {
    std::lock_guard guard{gate_mutex_};
    if (!channel_)
      return false;
    channel = channel_;
    ++inside_;
  }
  struct leave {
    message_link& link;
    ~leave() {
      std::lock_guard guard{link.gate_mutex_};
      if (--link.inside_ == 0)
        link.gate_.notify_all();
    }
  };
  const leave at_end{*this};
  f(*channel); // the channel, if not `channel_`, stays while somebody is inside
  return true;
}

void message_link::send_in_chunks(const chunk_options& options) {
  std::lock_guard guard{mutex_};
  if (listener_ || owned_chunks_)
    throw std::logic_error("chunked_channel: the channel already serves an event_bus or is chunked");
  owned_chunks_ = std::make_unique<chunker>(options);
  chunks_ = owned_chunks_.get();
}

caf::error message_link::send(message msg) {
  if (auto* chunks = chunks_.load())
    return chunks->send(std::move(msg), [this](message&& part) { return send_one(std::move(part)); });
  return send_one(std::move(msg));
}

caf::error message_link::send_one(message&& msg) {
  caf::error result;
  try {
    if (!with_channel([&](generic_channel& channel) { result = channel.send(std::move(msg)); }))
      return make_error(errc::channel_closed, "the channel is gone");
  } catch (const std::exception& ex) {
    return make_error(errc::connection_closed, std::string{"the channel's send threw: "} + ex.what());
  } catch (...) {
    return make_error(errc::connection_closed, "the channel's send threw something that is no std::exception");
  }
  return result;
}

std::shared_ptr<channel_listener> message_link::listener() const {
  std::lock_guard guard{mutex_};
  return listener_;
}

// -- events of the link -------------------------------------------------------

void message_link::connected() {
  std::unique_lock guard{mutex_};
  up_ = !detached_;
  reconnecting_ = false;
  told_connecting_ = false;
  mismatch_.reset();
  const auto connection = ++connection_;
  const auto bus = listener_;
  guard.unlock();
  if (!bus)
    return; // `attach` does the rest
  if (!say_hello(*bus, connection))
    return;
  bus->connected();
  send_late_answers();
  bus->readiness_changed();
}

/// Nothing else is sent before it; without it the link is as good as down.
/// @returns whether that connection is still there.
bool message_link::say_hello(const channel_listener& bus, std::uint64_t connection) {
  const auto err = send(hello{protocol_version, binary_codec, bus.slots()});
  std::unique_lock guard{mutex_};
  if (!up_ || connection != connection_)
    return false;
  connected_ = !err;
  guard.unlock();
  if (err) {
    auto what = failure_of(err);
    what.text = "the hello cannot be sent: " + what.text;
    go_down(what);
  }
  return !err;
}

void message_link::send_late_answers() {
  std::unique_lock guard{mutex_};
  auto answers = std::exchange(late_answers_, {});
  late_bytes_ = 0;
  guard.unlock();
  for (auto& [id, result] : answers)
    send_answer(id, std::move(result));
}

void message_link::disconnected() {
  go_down({.code = errc::connection_closed, .text = "REMOTE_CONNECTION_CLOSED"});
}

/// The far end's handlers go, and calls under way fail with `why`.
void message_link::go_down(const failure& why) {
  if (auto* chunks = chunks_.load())
    chunks->link_down();
  std::unique_lock guard{mutex_};
  up_ = false;
  connected_ = false;
  reconnecting_ = false;
  mismatch_.reset();
  auto registered = std::exchange(registered_, {});
  registrations_ = 0;
  registered_bytes_ = 0;
  ignored_.clear();
  auto calls = std::exchange(calls_, {});
  const auto bus = listener_;
  guard.unlock();
  end_all(std::move(calls), why, bus.get());
  if (!bus)
    return;
  for (const auto& [slot, params] : registered)
    for (const auto& param : params)
      bus->registration_changed({slot, param});
  bus->readiness_changed();
}

void message_link::failed(const caf::error& why) {
  auto what = failure_of(why);
  make_telling(what, errc::connection_closed);
  if (why && why.category() != error_category)
    what.code = errc::connection_closed;
  std::unique_lock guard{mutex_};
  reconnecting_ = false;
  auto calls = std::exchange(calls_, {});
  const auto bus = listener_;
  guard.unlock();
  end_all(std::move(calls), what, bus.get());
  if (bus)
    bus->readiness_changed();
}

void message_link::received(message&& msg) {
  if (auto* call = std::get_if<request>(&msg))
    take_request(std::move(*call));
  else if (auto* answered = std::get_if<response>(&msg))
    end_call(answered->id, std::move(answered->data));
  else if (auto* err = std::get_if<error_message>(&msg))
    end_call(err->id, with_capped_texts(std::move(err->what)));
  else if (auto* added = std::get_if<handler_registered>(&msg))
    take_registration({std::move(added->slot), std::move(added->param)}, true);
  else if (auto* removed = std::get_if<handler_unregistered>(&msg))
    take_registration({std::move(removed->slot), std::move(removed->param)}, false);
  else if (auto* list = std::get_if<event_list>(&msg))
    take_event_list(std::move(*list));
  else if (auto* theirs = std::get_if<hello>(&msg))
    take_hello(*theirs);
  else
    join(msg);
}

void message_link::join(const message& chunk) {
  auto* chunks = chunks_.load();
  if (!chunks) {
    failed(make_error(errc::protocol_error, "a chunk came on a channel that is not chunked: wrap both ends in a "
                                            "chunked_channel, or none"));
    return;
  }
  auto result = chunks->receive(chunk);
  if (result.error)
    failed(result.error);
  else if (result.joined)
    received(std::move(*result.joined));
  else if (const auto bus = listener(); bus && chunks->begin_watch())
    watch_chunks(*bus, *chunks);
}

void message_link::watch_chunks(channel_listener& bus, const chunker& chunks) {
  try {
    bus.timers().schedule(chunks.stall_timeout(), [link = weak_from_this()] {
      if (auto self = link.lock())
        self->check_chunks();
    });
  } catch (const std::system_error&) { // no thread for a timer: the bounds of what is unfinished have to do
  }
}

void message_link::check_chunks() {
  auto* chunks = chunks_.load();
  const auto [stalled, go_on] = chunks->check();
  if (stalled)
    failed(stalled);
  if (const auto bus = listener(); bus && go_on)
    watch_chunks(*bus, *chunks);
}

void message_link::take_hello(const hello& theirs) {
  std::unique_lock guard{mutex_};
  const auto bus = listener_;
  if (!bus) {
    early_hello_ = theirs;
    return;
  }
  guard.unlock();
  auto err = compare_hellos({protocol_version, binary_codec, bus->slots()}, theirs);
  if (!err)
    return;
  guard.lock();
  mismatch_ = failure_of(err);
  guard.unlock();
  failed(err);
}

void message_link::take_request(request&& call) {
  std::unique_lock guard{mutex_};
  if (detached_)
    return; // nobody would hear the answer
  const auto bus = listener_;
  const auto mismatch = mismatch_;
  guard.unlock();
  if (mismatch) {
    send_answer(call.id, *mismatch);
  } else if (!bus) {
    send_answer(call.id, failure{.code = errc::no_handler,
                                 .text = "no handler for slot " + call.slot + ": no event_bus is connected yet"});
  } else {
    auto sink = std::make_shared<link_sink>(shared_from_this(), call.id, call.slot);
    bus->request_received(std::make_shared<pending_call>(std::move(call.slot), std::move(call.param),
                                                         std::move(call.data), std::move(sink)));
  }
}

void message_link::take_registration(handler_key&& key, bool registered) {
  std::unique_lock guard{mutex_};
  bool changed = false;
  if (registered) {
    if (!up_)
      return; // said on a link that is down by now
    if (listener_ && !declares(*listener_, key.slot))
      return; // nobody can ask for it
    if (registrations_ >= registrations_max || registered_bytes_ + size_of(key) > registration_bytes_max) {
      guard.unlock();
      failed(make_error(errc::protocol_error, "the far end registered more than " + std::to_string(registrations_max) +
                                                  " handlers at a time, or such with more than " +
                                                  std::to_string(registration_bytes_max) + " bytes of names"));
      return;
    }
    changed = registered_[key.slot].insert(key.param).second;
    registrations_ += changed ? 1 : 0;
    registered_bytes_ += changed ? size_of(key) : 0;
  } else if (auto pos = registered_.find(key.slot); pos != registered_.end()) {
    changed = pos->second.erase(key.param) > 0;
    registrations_ -= changed ? 1 : 0;
    registered_bytes_ -= changed ? size_of(key) : 0;
    if (pos->second.empty())
      registered_.erase(pos);
  }
  const auto bus = listener_;
  guard.unlock();
  if (changed && bus)
    bus->registration_changed(key);
}

void message_link::take_event_list(event_list&& list) {
  std::unique_lock guard{mutex_};
  if (!up_)
    return; // said on a link that is down by now
  if (listener_)
    std::erase_if(list.ignored, [this](const std::string& slot) { return !declares(*listener_, slot); });
  const auto before = std::exchange(ignored_, {list.ignored.begin(), list.ignored.end()});
  std::vector<handler_key> changed; // handlers that count from now on, or do not
  for (const auto& [slot, params] : registered_)
    if (before.contains(slot) != ignored_.contains(slot))
      for (const auto& param : params)
        changed.push_back({slot, param});
  const auto bus = listener_;
  guard.unlock();
  if (!bus)
    return;
  for (const auto& key : changed)
    bus->registration_changed(key);
  bus->readiness_changed();
}

// -- calls to the far end -----------------------------------------------------

void message_link::submit(pending_call_ptr call) {
  if (call->finished())
    return;
  std::unique_lock guard{mutex_};
  if (detached_) {
    guard.unlock();
    call->fail(errc::channel_closed, "the channel is closed");
    return;
  }
  if (mismatch_) {
    auto what = *mismatch_;
    guard.unlock();
    call->finish(std::move(what));
    return;
  }
  if (!connected_) {
    guard.unlock();
    call->fail(errc::channel_not_ready, "CHANNEL_NOT_READY on " + call->slot);
    return;
  }
  if (calls_.size() >= open_calls_max) {
    guard.unlock();
    call->fail(errc::buffer_full, std::to_string(open_calls_max) + " calls are under way on this channel: slow down");
    return;
  }
  const auto id = ++last_id_;
  auto timeout = call->timeout;
  if (call->run_timeout > caf::timespan::zero())
    timeout = std::min(timeout, call->run_timeout);
  request msg{id, call->slot, call->param, std::move(call->data)};
  calls_[id].call = std::move(call); // if there is no memory, it ends without the lock
  const auto bus = listener_;
  guard.unlock();
  if (timeout < no_timeout) {
    timer_service::timer_id timer = 0;
    try {
      timer = bus->timers().schedule(timeout, [link = weak_from_this(), id] {
        if (auto self = link.lock())
          self->expire(id);
      });
    } catch (const std::system_error&) {
      end_call(id,
               failure{.code = errc::buffer_full, .text = "no timer can be started: the system has no thread left"});
      return;
    }
    guard.lock();
    auto pos = calls_.find(id);
    if (pos != calls_.end())
      pos->second.timer = timer;
    const auto ended = pos == calls_.end();
    guard.unlock();
    if (ended)
      bus->timers().cancel(timer);
  }
  if (auto err = send(std::move(msg)))
    end_call(id, failure_of(err));
}

message_link::open_call message_link::take(call_id id) {
  std::unique_lock guard{mutex_};
  auto node = calls_.extract(id);
  const auto bus = listener_;
  guard.unlock();
  if (node.empty())
    return {}; // timed out before, or never asked
  if (node.mapped().timer != 0)
    bus->timers().cancel(node.mapped().timer);
  return std::move(node.mapped());
}

void message_link::end_call(call_id id, answer&& result) {
  if (auto open = take(id); open.call)
    open.call->finish(std::move(result));
}

void message_link::expire(call_id id) {
  if (auto open = take(id); open.call)
    open.call->fail(errc::timed_out, "TIMED_OUT on " + open.call->slot + " with param " + open.call->param);
}

void message_link::end_all(open_calls&& calls, const failure& why, channel_listener* bus) {
  std::vector<call_id> order;
  for (const auto& entry : calls)
    order.push_back(entry.first);
  std::sort(order.begin(), order.end());
  for (auto id : order) {
    auto& open = calls.at(id);
    if (open.timer != 0)
      bus->timers().cancel(open.timer);
    open.call->finish(why);
  }
}

caf::error message_link::announce(const message& registration) {
  {
    std::lock_guard guard{mutex_};
    if (!connected_)
      return {}; // said when the link is up again
  }
  return send(registration);
}

readiness message_link::ready_for(const std::string& slot, const std::string& param) const {
  std::lock_guard guard{mutex_};
  if (mismatch_ || detached_)
    return readiness::holds_calls; // `submit` says why it fails
  if (!connected_) {
    told_connecting_ = told_connecting_ || reconnecting_;
    return up_ || reconnecting_ ? readiness::connecting : readiness::disconnected;
  }
  if (ignored_.contains(slot))
    return readiness::ignored;
  auto pos = registered_.find(slot);
  return pos != registered_.end() && pos->second.contains(param) ? readiness::registered : readiness::unregistered;
}

std::vector<std::string> message_link::params_of(const std::string& slot) const {
  std::lock_guard guard{mutex_};
  auto pos = registered_.find(slot);
  if (pos == registered_.end() || ignored_.contains(slot))
    return {};
  return {pos->second.begin(), pos->second.end()};
}

bool message_link::reconnect() {
  {
    std::lock_guard guard{mutex_};
    if (up_ || detached_)
      return false;
    if (std::exchange(reconnecting_, true))
      return true;
  }
  bool begun = false;
  try {
    with_channel([&](generic_channel& channel) { begun = channel.reconnect(); });
  } catch (...) { // as if it had said that it cannot
    begun = false;
  }
  if (begun)
    return true;
  std::unique_lock guard{mutex_};
  reconnecting_ = false;
  const auto waited_for = std::exchange(told_connecting_, false);
  const auto bus = listener_;
  guard.unlock();
  if (bus && waited_for)
    bus->readiness_changed();
  return false;
}

// -- calls of the far end -----------------------------------------------------

void message_link::answer_call(call_id id, const std::string& slot, answer&& result) {
  std::unique_lock guard{mutex_};
  if (!up_) {
    const auto bus = listener_;
    if (detached_ || !bus)
      return;
    guard.unlock();
    const auto begun = bus->may_reconnect(slot) && reconnect();
    guard.lock();
    if (!begun && !up_)
      return; // who asked has failed with the link
  }
  if (connected_) {
    guard.unlock();
    send_answer(id, std::move(result));
    return;
  }
  late_bytes_ += size_of(result);
  late_answers_.push_back({id, std::move(result)});
  while (late_answers_.size() > late_answers_max || late_bytes_ > late_bytes_max) {
    late_bytes_ -= size_of(late_answers_.front().result);
    late_answers_.pop_front();
  }
}

void message_link::send_answer(call_id id, answer&& result) {
  caf::error err;
  if (auto* data = std::get_if<bytes>(&result))
    err = send(response{id, std::move(*data)});
  else
    err = send(error_message{id, with_capped_texts(std::move(std::get<failure>(result)))});
  if (!err)
    return;
  auto what = failure_of(err);
  what.text = "the answer cannot be sent: " + what.text;
  static_cast<void>(send(error_message{id, std::move(what)}));
}

} // namespace cluster_channel::detail
