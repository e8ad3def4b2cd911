#include <cluster_channel/actors/detail/closing_broker.hpp>
#include <cluster_channel/actors/detail/guarded.hpp>
#include <cluster_channel/actors/detail/saturating.hpp>
#include <cluster_channel/actors/requester.hpp>
#include <cluster_channel/actors/router.hpp>

#include <caf/io/middleman.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>
#include <limits>
#include <new>

namespace cluster_channel {

namespace {

struct deadline_tick {
  std::chrono::steady_clock::time_point when;
};
struct drain_expired {};
struct take_more {};
struct bus_has_room {};
struct outbox_is_due {};
struct refill {};

/// After giving up, `min_nodes` is tried again this much later, or after the longest pause of the backoff if that is
/// longer: no call comes that would.
constexpr auto refill_pause = std::chrono::minutes{1};

/// Answers a `slot_request`.
class request_sink final : public answer_sink {
public:
  explicit request_sink(requester to) : to_{std::move(to)} {}

  void answered(answer&& result) noexcept override {
    if (auto* data = std::get_if<bytes>(&result))
      to_.answer(caf::make_message(slot_response{std::move(*data)}));
    else
      to_.answer(caf::make_message(make_error(std::move(std::get<failure>(result)))));
  }

private:
  requester to_;
};

/// Most that is taken from the inbox before other messages, and the links, have their turn.
constexpr std::size_t taken_at_once = 1024;

template <class Self>
caf::behavior router_actor(Self* self, const pool_options& options, std::shared_ptr<router_inbox> inbox) {
  return self->state.start(
      self, [self](caf::behavior next) { self->become(std::move(next)); }, options, std::move(inbox));
}

} // namespace

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::deadline_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::drain_expired)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::outbox_is_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::refill)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::take_more)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::bus_has_room)

namespace cluster_channel {

std::shared_ptr<router_inbox> make_router_inbox(const pool_options& options) {
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  const auto nodes = std::max<std::size_t>(nodes_of(options), 1);
  const auto running = options.calls_per_node < most / nodes ? nodes * options.calls_per_node : most;
  return std::make_shared<router_inbox>(router_inbox::limits{
      .calls_max = options.buffer_calls_max < most - running ? options.buffer_calls_max + running : most,
      .bytes_max = options.buffer_bytes_max});
}

caf::actor spawn_router(caf::actor_system& system, const pool_options& options, std::shared_ptr<router_inbox> inbox) {
  using actor_type = caf::stateful_actor<router_state, detail::closing_broker>;
  return system.middleman().spawn_broker(router_actor<actor_type>, options, std::move(inbox));
}

caf::actor spawn_scheduled_router(caf::actor_system& system, const pool_options& options,
                                  std::shared_ptr<router_inbox> inbox) {
  return system.spawn(router_actor<caf::stateful_actor<router_state>>, options, std::move(inbox));
}

std::size_t router_state::key_hash::operator()(const handler_key& key) const noexcept {
  const std::hash<std::string> hash;
  return hash(key.slot) * 31 + hash(key.param);
}

router_state::~router_state() {
  if (inbox_)
    inbox_->close();
}

caf::behavior router_state::start(caf::scheduled_actor* self, become_function become, const pool_options& options,
                                  std::shared_ptr<router_inbox> inbox) {
  self_ = self;
  become_ = std::move(become);
  inbox_ = inbox ? std::move(inbox) : std::make_shared<router_inbox>();
  options_ = options;
  table_ = route_table{{.nodes_max = nodes_of(options),
                        .nodes_min = options.min_nodes,
                        .calls_per_node = options.calls_per_node,
                        .buffer_calls_max = options.buffer_calls_max,
                        .buffer_bytes_max = options.buffer_bytes_max}};
  return serving();
}

caf::behavior router_state::serving() {
  return caf::message_handler{
      [this](const drain_router& msg) { begin_draining(msg.timeout); },
  }
      .or_else(pool_events());
}

caf::behavior router_state::draining() {
  return caf::message_handler{
      [this](const drain_expired&) { end_draining(); },
  }
      .or_else(pool_events());
}

caf::message_handler router_state::pool_events() {
  return {
      [this](const inbox_filled&) { take_from_inbox(); },
      [this](const take_more&) {
        taking_later_ = false;
        take_from_inbox();
      },
      [this](calls_finished& event) { calls_are_finished(event); },
      [this](pending_call_ptr& call) {
        submit(std::move(call));
        dispatch();
      },
      [this](slot_request& msg) {
        submit(from_request(msg));
        dispatch();
      },
      [this](const fan_out_ptr& calls) { broadcast(*calls); },
      detail::insisting([this](const node_ready& event) { node_is_ready(event); }),
      [this](const node_gone& event) { node_is_gone(event); },
      detail::insisting([this](const launches_gave_up& event) { launches_failed(event); }),
      [this](node_announcement& event) { node_announced(event); },
      detail::insisting([this](const announce_to_nodes& msg) { announce(msg); }),
      [this](child_call& call) { child_calls(call); },
      [this](child_answer& msg) { answer_child(std::move(msg)); },
      detail::insisting([this](const node_introduced& event) { node_is_introduced(event); }),
      [this](attach_bus& msg) { attach(std::move(msg.courier)); },
      [this](const answers_may_go& msg) { let_answers_go(msg); },
      [this](const bus_has_room&) { bus_feed_->send_more(); },
      [this](const outbox_is_due&) {
        if (!empty_outbox())
          dispatch();
      },
      [this](const refill&) {
        refill_due_ = false;
        table_.try_launches();
        dispatch();
      },
      [this](const deadline_tick& msg) {
        ticks_.ticked(msg.when);
        deadline_passed();
      },
      [this](const get_pool_stats&) { return stats(); },
      [this](const stats_query& msg) { msg.answer(stats()); },
      [this](attach_supervisor& msg) {
        supervisor_ = std::move(msg.supervisor);
        dispatch(); // min_nodes
      },
  };
}

// -- events -------------------------------------------------------------------

void router_state::take_from_inbox() {
  std::size_t calls = 0;
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < taken_at_once; ++count) {
    if (taken_.empty()) {
      taken_ = inbox_->take();
      calls += taken_.size();
      bytes += taken_.bytes();
    }
    auto item = taken_.next();
    if (!item)
      break;
    take(std::move(item));
  }
  dispatch();
  inbox_->arrived(calls, bytes); // only now, so that they count all the time
  if (!taken_.empty() && !taking_later_) {
    detail::insist([this] { caf::anon_send(caf::actor_cast<caf::actor>(self_), take_more{}); });
    taking_later_ = true;
  }
}

void router_state::take(std::shared_ptr<inbox_item> item) {
  switch (item->what()) {
  case inbox_item::kind::call:
    submit(std::static_pointer_cast<pending_call>(std::move(item)));
    break;
  case inbox_item::kind::broadcast:
    broadcast(static_cast<fan_out&>(*item));
    break;
  case inbox_item::kind::other:
    std::visit([this](auto& msg) { take(msg); }, static_cast<bus_message&>(*item).what);
    break;
  }
}

/// To be followed by `dispatch`.
void router_state::submit(pending_call_ptr call) {
  if (call->finished())
    return;
  if (draining_) {
    call->fail(errc::channel_closed, "the channel is closing: no new calls are taken");
    return;
  }
  const auto id = ++last_id_;
  try {
    const auto held = must_be_held(*call);
    if (!(held ? table_.submit_held(id, call->data.size()) : table_.submit(id, call->data.size()))) {
      call->fail(errc::buffer_full, buffer_full_text(table_.waiting(), table_.waiting_bytes()));
      return;
    }
    auto& open = calls_[id];
    open.call = std::move(call);
    open.held = held;
    if (held)
      held_[{open.call->slot, open.call->param}].insert(id);
    use_own_limits(*open.call);
    open.submitted_at = self_->clock().now();
    watch(id, open);
  } catch (const std::bad_alloc&) {
    table_.withdraw(id);
    if (calls_.contains(id))
      finish(id, out_of_memory());
    else
      call->finish(out_of_memory());
  }
}

/// The end of a call for which there was no memory. Needs none.
failure router_state::out_of_memory() noexcept {
  return {.code = errc::buffer_full, .text = "out of memory"};
}

void router_state::broadcast(fan_out& calls) {
  try {
    submit_to_all(calls);
  } catch (const std::bad_alloc&) { // what was not handed over ends as it is dropped
  }
}

void router_state::submit_to_all(fan_out& calls) {
  if (draining_)
    return; // it ends with channel_closed as it is dropped
  dispatch();
  if (!empty_outbox()) // it comes after the calls before it
    dispatch();
  std::vector<node_id> nodes;
  for (const auto& entry : proxies_)
    nodes.push_back(entry.first);
  std::sort(nodes.begin(), nodes.end());
  const auto bytes_of_each = calls.bytes();
  auto runs = calls.open(nodes.size());
  const auto now = self_->clock().now();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    auto& call = *runs[i];
    if (call.finished())
      continue;
    if (!may_broadcast(bytes_of_each)) {
      call.fail(errc::buffer_full, buffer_full_text(broadcasts_.size(), broadcast_bytes_));
      continue;
    }
    const auto id = ++last_id_;
    use_own_limits(call);
    outbox_[nodes[i]].calls.push_back({id, call.slot, call.param, std::move(call.data)});
    broadcasts_.emplace(nodes[i], id);
    broadcast_bytes_ += bytes_of_each;
    auto& open = calls_[id];
    open = open_call{.call = std::move(runs[i]),
                     .submitted_at = now,
                     .sent_at = now,
                     .node = nodes[i],
                     .broadcast_bytes = bytes_of_each,
                     .broadcast = true};
    watch(id, open);
  }
  if (!empty_outbox())
    dispatch();
}

/// Whether one more run of a broadcast, with a request of `size` bytes, can be open. What was sent to a node that is
/// busy waits on its link.
bool router_state::may_broadcast(std::size_t size) const {
  return broadcasts_.empty() ||
         (broadcasts_.size() < options_.buffer_calls_max && broadcast_bytes_ <= options_.buffer_bytes_max &&
          size <= options_.buffer_bytes_max - broadcast_bytes_);
}

void router_state::node_announced(node_announcement& event) {
  if (const auto* added = std::get_if<handler_registered>(&event.what)) {
    bool is_new = false;
    detail::insist([&] { is_new = registrations_.add(event.node, added->slot, added->param); });
    if (!is_new)
      return;
    detail::insist([&] { release_held({added->slot, added->param}); });
    detail::insist([&] { tell_bus({added->slot, added->param}, true); });
    dispatch();
  } else if (const auto* removed = std::get_if<handler_unregistered>(&event.what)) {
    bool was_last = false;
    detail::insist([&] { was_last = registrations_.remove(event.node, removed->slot, removed->param); });
    if (was_last)
      detail::insist([&] { tell_bus({removed->slot, removed->param}, false); });
  } else if (const auto* list = std::get_if<event_list>(&event.what)) {
    if (bus_feed_)
      detail::insist([&] { bus_feed_->ignored(*list); });
  }
}

void router_state::attach(std::shared_ptr<bus_courier> courier) {
  courier_ = std::move(courier);
  courier_calls_.emplace(
      flow_window::limits{.messages = options_.buffer_calls_max, .bytes = options_.buffer_bytes_max});
  bus_feed_.emplace([this](pool_announcement&& what) { courier_->take(std::move(what)); },
                    [self = self_->address()] {
                      if (const auto router = caf::actor_cast<caf::actor>(self))
                        caf::anon_send(router, bus_has_room{});
                    });
}

void router_state::tell_bus(const handler_key& key, bool registered) {
  if (bus_feed_)
    bus_feed_->changed(key, registered);
}

void router_state::announce(const announce_to_nodes& msg) {
  if (const auto* added = std::get_if<handler_registered>(&msg.what))
    announced_.emplace(added->slot, added->param);
  else if (const auto* removed = std::get_if<handler_unregistered>(&msg.what))
    announced_.erase({removed->slot, removed->param});
  else if (const auto* ignored = std::get_if<event_list>(&msg.what))
    ignored_ = *ignored;
  for (const auto& [node, proxy] : proxies_)
    caf::anon_send(proxy, tell_child{{msg.what}});
  for (const auto& [node, introduced] : introduced_)
    if (introduced.listens)
      caf::anon_send(introduced.proxy, tell_child{{msg.what}});
}

void router_state::child_calls(child_call& call) {
  failure why{.code = errc::no_handler,
              .text = "the master has no handler for slot " + call.call.slot + " with param " + call.call.param +
                      ": no event_bus is connected to its master_channel"};
  if (courier_ && !courier_calls_->full()) {
    call.in_window = courier_calls_->take(call.call.data.size() + call.call.slot.size() + call.call.param.size());
    courier_->take(std::move(call));
    return;
  }
  if (courier_) // a node has bounds of its own, but so have those that take its place
    why = {.code = errc::buffer_full,
           .text = "the master's buffer is full: " + std::to_string(courier_calls_->messages()) + " calls with " +
                   std::to_string(courier_calls_->bytes()) +
                   " bytes from its children wait; slow down, or raise buffer_calls_max or buffer_bytes_max"};
  answer_child({call.node, call.call.id, std::move(why)});
}

void router_state::answer_child(child_answer&& answer) {
  if (auto ready = proxies_.find(answer.node); ready != proxies_.end())
    caf::anon_send(ready->second, std::move(answer));
  else if (auto launched = introduced_.find(answer.node); launched != introduced_.end())
    caf::anon_send(launched->second.proxy, std::move(answer));
}

void router_state::node_is_introduced(const node_introduced& event) {
  if (!event.proxy) {
    introduced_.erase(event.node);
    return;
  }
  introduced_.emplace(event.node, event);
  if (event.listens)
    tell_all(event.proxy);
}

/// Tells a node what the bus has announced so far.
void router_state::tell_all(const caf::actor& proxy) const {
  tell_child msg;
  for (const auto& [slot, param] : announced_)
    msg.messages.emplace_back(handler_registered{slot, param});
  if (ignored_)
    msg.messages.emplace_back(*ignored_);
  if (!msg.messages.empty())
    caf::anon_send(proxy, std::move(msg));
}

void router_state::node_is_ready(const node_ready& event) {
  proxies_.emplace(event.node, event.proxy);
  if (const auto introduced = introduced_.extract(event.node); introduced.empty() || !introduced.mapped().listens)
    tell_all(event.proxy);
  if (event.slots) {
    declare(event.node, *event.slots);
    release_undeclared(); // a slot that no node declares will never have a handler: the child says so best
  }
  table_.node_ready(event.node);
  dispatch();
}

void router_state::node_is_gone(const node_gone& event) {
  if (proxies_.erase(event.node) == 0)
    return;
  fail_all(table_.remove_node(event.node), event.cause);
  for (;;) { // each that is finished goes from the set
    const auto pos = broadcasts_.lower_bound({event.node, 0});
    if (pos == broadcasts_.end() || pos->first != event.node)
      break;
    fail(pos->second, event.cause);
  }
  try {
    for (auto& key : registrations_.node_gone(event.node))
      tell_bus(key, false);
    undeclare(event.node);
  } catch (const std::bad_alloc&) { // calls go on being sent to those that are there, which say what they have not
  }
  if (event.gave_up) {
    fail_all(table_.launches_failed(0), event.cause);
    refill_later();
  }
  dispatch();
}

void router_state::calls_are_finished(calls_finished& event) {
  std::erase_if(event.calls, [&](const finished_call& x) {
    return !table_.complete(event.node, x.call) && !broadcasts_.contains({event.node, x.call});
  });
  hold_answers(event);
  for (auto& [id, result] : event.calls)
    finish(id, std::move(result));
  dispatch();
}

/// Takes the answers out of `event` if they must wait for the handlers of what their node sent before them. The node
/// need not: it is free for the next call.
void router_state::hold_answers(calls_finished& event) {
  if (!courier_ || event.calls.empty() || options_.answer_hold_max == std::chrono::milliseconds::zero())
    return;
  try {
    std::vector<call_id> calls;
    for (const auto& each : event.calls)
      calls.push_back(each.call);
    auto& follows = follows_[event.node];
    if (!courier_->follow(event.node, calls, follows > 0)) {
      if (follows == 0)
        follows_.erase(event.node);
      return;
    }
    ++follows;
  } catch (const std::bad_alloc&) {
    return; // rather early than never
  }
  for (auto& each : std::exchange(event.calls, {}))
    hold_answer(each);
}

void router_state::hold_answer(finished_call& answer) {
  const auto pos = calls_.find(answer.call);
  if (pos == calls_.end())
    return; // timed out before
  auto& open = pos->second;
  try {
    answered_.insert(answer.call);
    open.answered = std::make_unique<cluster_channel::answer>(std::move(answer.result));
    open.answered_at = self_->clock().now();
    watch(answer.call, open);
  } catch (const std::bad_alloc&) {
    answered_.erase(answer.call);
    finish(answer.call, std::move(answer.result));
  }
}

void router_state::let_answers_go(const answers_may_go& event) {
  if (event.calls.empty()) {
    for (const auto id : std::exchange(answered_, {}))
      finish_answered(id);
    return;
  }
  if (auto pos = follows_.find(event.node); pos != follows_.end() && --pos->second == 0)
    follows_.erase(pos);
  for (const auto id : event.calls)
    finish_answered(id);
}

void router_state::finish_answered(call_id id) {
  if (auto pos = calls_.find(id); pos != calls_.end() && pos->second.answered)
    finish(id, {}); // with the answer that is there
}

void router_state::launches_failed(const launches_gave_up& event) {
  fail_all(table_.launches_failed(event.count), event.cause);
  refill_later();
  dispatch();
}

void router_state::refill_later() {
  if (options_.min_nodes > 0 && !draining_ && !std::exchange(refill_due_, true))
    caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_),
                           std::max(detail::as_delay(refill_pause), detail::as_delay(options_.backoff.longest)),
                           refill{});
}

void router_state::deadline_passed() {
  const auto now = self_->clock().now();
  while (const auto id = deadlines_.take_due(now))
    time_out(*id, now);
  if (const auto next = deadlines_.next([this](call_id x) { return calls_.contains(x); }))
    arm(*next);
  dispatch();
}

void router_state::time_out(call_id id, clock::time_point now) {
  const auto pos = calls_.find(id);
  if (pos == calls_.end())
    return;
  auto& open = pos->second;
  open.watched = clock::time_point::max();
  if (deadline_of(open) > now) {
    detail::insist([&] { watch(id, open); }); // it has another limit than when this one was noted
    return;
  }
  failure what{.code = errc::timed_out, .node = open.node};
  try {
    what.text = overdue_text(open);
  } catch (const std::bad_alloc&) { // it says less then
  }
  table_.withdraw(id); // a running call stays on its node until the node answers
  finish(id, std::move(what));
}

void router_state::begin_draining(std::chrono::milliseconds timeout) {
  draining_ = true;
  table_.stop_refilling();
  become_(draining());
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), detail::as_delay(timeout), drain_expired{});
  check_drained();
}

void router_state::end_draining() {
  std::vector<call_id> open;
  for (const auto& entry : calls_)
    open.push_back(entry.first);
  for (auto id : open)
    table_.withdraw(id);
  std::sort(open.begin(), open.end());
  fail_all(open, failure{.code = errc::channel_closed, .text = "the channel was closed before the call was answered"});
  check_drained();
}

// -- helpers ------------------------------------------------------------------

pending_call_ptr router_state::from_request(slot_request& msg) {
  auto sink = std::make_shared<request_sink>(requester{self_});
  auto call =
      std::make_shared<pending_call>(std::move(msg.slot), std::move(msg.param), std::move(msg.data), std::move(sink));
  call->timeout = options_.timeout;
  return call;
}

void router_state::use_own_limits(pending_call& call) const {
  if (call.wait_timeout == caf::timespan::zero())
    call.wait_timeout = options_.wait_timeout;
  if (call.run_timeout == caf::timespan::zero())
    call.run_timeout = options_.run_timeout;
}

std::string router_state::buffer_full_text(std::size_t calls, std::size_t bytes) {
  return "the buffer is full: " + std::to_string(calls) + " calls with " + std::to_string(bytes) +
         " bytes wait; slow down, or raise buffer_calls_max or buffer_bytes_max";
}

/// No node has registered a handler for it, and one still may.
bool router_state::must_be_held(const pending_call& call) const {
  return !call.no_buffer && !registrations_.contains(call.slot, call.param) &&
         (declared_.empty() || declared_.contains(call.slot));
}

void router_state::release(const std::set<call_id>& calls) {
  for (const auto id : calls) {
    table_.release(id);
    calls_.at(id).held = false;
  }
}

void router_state::release_held(const handler_key& key) {
  const auto pos = held_.find(key);
  if (pos == held_.end())
    return;
  release(pos->second);
  held_.erase(pos); // only now: what lacks memory is tried again
}

void router_state::release_undeclared() {
  std::erase_if(held_, [this](const auto& entry) {
    if (declared_.contains(entry.first.slot))
      return false;
    release(entry.second);
    return true;
  });
}

void router_state::declare(node_id node, const std::vector<std::string>& slots) {
  if (declared_by_.empty())
    declared_.clear(); // by nodes that are gone
  for (const auto& slot : slots)
    declared_.try_emplace(slot, 0);
  declared_by_[node] = slots;
  for (const auto& slot : slots) // from here on no memory is needed
    ++declared_[slot];
}

/// What the last node declared is expected of its replacement.
void router_state::undeclare(node_id node) {
  const auto entry = declared_by_.extract(node);
  if (entry.empty() || declared_by_.empty())
    return;
  for (const auto& slot : entry.mapped())
    if (auto pos = declared_.find(slot); pos != declared_.end() && --pos->second == 0)
      declared_.erase(pos);
}

/// When the first of the call's limits runs out.
router_state::clock::time_point router_state::deadline_of(const open_call& open) const {
  const auto& call = *open.call;
  const auto phase =
      open.node == 0
          ? detail::after(open.submitted_at,
                          call.wait_timeout == caf::timespan::zero() ? no_timeout : call.wait_timeout)
          : detail::after(open.sent_at, call.run_timeout == caf::timespan::zero() ? no_timeout : call.run_timeout);
  const auto result = std::min(detail::after(open.submitted_at, call.timeout), phase);
  return open.answered ? std::min(detail::after(open.answered_at, options_.answer_hold_max), result) : result;
}

std::string router_state::overdue_text(const open_call& open) const {
  const auto& call = *open.call;
  auto result = "TIMED_OUT on " + call.slot + " with param " + call.param;
  if (open.node != 0)
    return result;
  if (open.held && !declared_.empty())
    result += ": no node has registered a handler for it";
  else if (table_.ready_nodes() == 0 && table_.launching_nodes() > 0)
    result += ": no node was ready, " + std::to_string(table_.launching_nodes()) +
              " are still starting: a child must reach child_channel::run() within start_timeout";
  return result;
}

/// Sees to it that somebody looks when a limit of the call runs out.
void router_state::watch(call_id id, open_call& open) {
  const auto deadline = deadline_of(open);
  if (deadline >= open.watched)
    return;
  deadlines_.add(id, deadline);
  arm(deadline);
  open.watched = deadline;
}

void router_state::arm(clock::time_point next) {
  detail::insist([this, next] {
    const auto now = self_->clock().now();
    const auto when = ticks_.arm(now, next);
    if (!when)
      return;
    try {
      caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), *when - now, deadline_tick{*when});
    } catch (...) {
      ticks_.ticked(*when); // none comes
      throw;
    }
  });
}

void router_state::dispatch() {
  for (;;) {
    const auto plan = table_.dispatch();
    // Those that run count too, as they leave no room at their nodes: else a flood would be refused here, one by one.
    inbox_->waiting(table_.waiting() + table_.running() + broadcasts_.size() + taken_.size(),
                    table_.waiting_bytes() + broadcast_bytes_ + taken_.bytes());
    if (plan.launch > 0)
      launch(plan.launch);
    const auto all_handed_over = hand_over(plan.assign);
    if (plan.starved != 0) { // nothing else may come that would look again
      table_.withdraw(plan.starved);
      finish(plan.starved, out_of_memory());
    } else if (all_handed_over) {
      return;
    }
  }
}

void router_state::launch(std::size_t count) {
  try {
    caf::anon_send(supervisor_, launch_nodes{count});
  } catch (const std::bad_alloc&) {
    fail_all(table_.launches_failed(count), out_of_memory());
  }
}

/// @returns whether no call failed there, which leaves its node to others.
bool router_state::hand_over(const std::vector<route_table::assignment>& assigned) {
  if (assigned.empty())
    return true;
  bool result = true;
  const auto now = self_->clock().now();
  for (const auto& [id, node] : assigned) {
    try {
      auto& open = calls_.at(id);
      open.node = node;
      open.sent_at = now;
      watch(id, open);
      outbox_[node].calls.push_back({id, open.call->slot, open.call->param, std::move(open.call->data)});
    } catch (const std::bad_alloc&) {
      give_back(node, id);
      result = false;
    }
  }
  // While more messages wait, more calls may follow for the same nodes: those go out together, and then share a system
  // call. The message to itself comes behind what is in the mailbox now.
  if (!self_->mailbox().empty() && !outbox_due_) {
    try {
      caf::anon_send(caf::actor_cast<caf::actor>(self_), outbox_is_due{});
      outbox_due_ = true;
    } catch (const std::bad_alloc&) {
    }
  }
  return (outbox_due_ || empty_outbox()) && result;
}

/// @returns whether no call failed there.
bool router_state::empty_outbox() {
  bool result = true;
  outbox_due_ = false;
  for (auto& [node, batch] : outbox_) {
    const auto pos = proxies_.find(node);
    if (pos == proxies_.end())
      continue; // its calls have failed with it
    try {
      caf::anon_send(pos->second, std::move(batch));
    } catch (const std::bad_alloc&) {
      for (const auto& call : batch.calls)
        give_back(node, call.id);
      result = false;
    }
  }
  outbox_.clear();
  return result;
}

/// Ends a call that there was no memory to send.
void router_state::give_back(node_id node, call_id id) {
  table_.complete(node, id);
  finish(id, out_of_memory());
}

void router_state::finish(call_id id, answer&& result) {
  auto pos = calls_.find(id);
  if (pos == calls_.end())
    return; // timed out before
  auto open = std::move(pos->second);
  calls_.erase(pos);
  if (open.answered) { // whatever ends it now: the answer is there
    answered_.erase(id);
    result = std::move(*open.answered);
  }
  if (open.broadcast) {
    broadcasts_.erase({open.node, id});
    broadcast_bytes_ -= open.broadcast_bytes;
  } else if (open.held) {
    forget_held(id, *open.call);
  }
  open.call->finish(std::move(result));
  deadlines_.forget_answered(calls_.size(), [this](call_id x) { return calls_.contains(x); });
  check_drained();
}

void router_state::forget_held(call_id id, const pending_call& call) {
  auto entry = held_.find({call.slot, call.param});
  if (entry == held_.end())
    return;
  entry->second.erase(id);
  if (entry->second.empty())
    held_.erase(entry);
}

/// Without its texts if there is no memory for them.
failure router_state::copy_of(const failure& cause) noexcept {
  try {
    return cause;
  } catch (const std::bad_alloc&) {
    return {.code = cause.code, .pid = cause.pid, .exit_code = cause.exit_code, .signal = cause.signal};
  }
}

void router_state::fail_all(const std::vector<call_id>& calls, const failure& cause) {
  for (const auto id : calls)
    fail(id, cause);
}

void router_state::fail(call_id id, const failure& cause) {
  const auto pos = calls_.find(id);
  if (pos == calls_.end())
    return;
  auto what = copy_of(cause);
  if (const auto& open = pos->second; open.node != 0) {
    what.node = open.node;
    what.ran_for = self_->clock().now() - open.sent_at;
  }
  finish(id, std::move(what));
}

void router_state::check_drained() {
  if (draining_ && calls_.empty())
    detail::insist([this] { caf::anon_send(supervisor_, router_drained{}); });
}

pool_stats router_state::stats() const {
  return {.ready_nodes = table_.ready_nodes(),
          .launching_nodes = table_.launching_nodes(),
          .idle_nodes = table_.idle_nodes(),
          .waiting_calls = table_.waiting(),
          .waiting_bytes = table_.waiting_bytes(),
          .running_calls = table_.running()};
}

} // namespace cluster_channel
