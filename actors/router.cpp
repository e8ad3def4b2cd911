#include <cluster_channel/actors/requester.hpp>
#include <cluster_channel/actors/router.hpp>

#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>

namespace cluster_channel {

namespace {

struct deadline_tick {};
struct drain_expired {};
struct outbox_is_due {};

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

template <class Self>
caf::behavior router_actor(Self* self, const pool_options& options) {
  return self->state.start(
      self, [self](caf::behavior next) { self->become(std::move(next)); }, options);
}

} // namespace

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::deadline_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::drain_expired)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::outbox_is_due)

namespace cluster_channel {

caf::actor spawn_router(caf::actor_system& system, const pool_options& options) {
  using actor_type = caf::stateful_actor<router_state, caf::io::broker>;
  return system.middleman().spawn_broker(router_actor<actor_type>, options);
}

caf::actor spawn_scheduled_router(caf::actor_system& system, const pool_options& options) {
  return system.spawn(router_actor<caf::stateful_actor<router_state>>, options);
}

caf::behavior router_state::start(caf::scheduled_actor* self, become_function become, const pool_options& options) {
  self_ = self;
  become_ = std::move(become);
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
      [this](pending_call_ptr& call) { submit(std::move(call)); },
      [this](calls_finished& event) { calls_are_finished(event); },
      [this](slot_request& msg) { submit(from_request(msg)); },
      [this](fan_out_ptr& calls) { submit_to_all(*calls); },
      [this](const drain_router& msg) { begin_draining(msg.timeout); },
  }
      .or_else(pool_events());
}

caf::behavior router_state::draining() {
  const auto refuse = [](const pending_call_ptr& call) {
    call->fail(errc::channel_closed, "the channel is closing: no new calls are taken");
  };
  return caf::message_handler{
      [refuse](const pending_call_ptr& call) { refuse(call); },
      [this](calls_finished& event) { calls_are_finished(event); },
      [this, refuse](slot_request& msg) { refuse(from_request(msg)); },
      [](const fan_out_ptr&) {}, // ends with channel_closed as it is dropped
      [this](const drain_expired&) { end_draining(); },
  }
      .or_else(pool_events());
}

caf::message_handler router_state::pool_events() {
  return {
      [this](const node_ready& event) { node_is_ready(event); },
      [this](const node_gone& event) { node_is_gone(event); },
      [this](const launches_gave_up& event) { launches_failed(event); },
      [this](node_announcement& event) { node_announced(event); },
      [this](announce_to_nodes& msg) { announce(msg); },
      [this](child_call& call) { child_calls(call); },
      [this](child_answer& msg) { answer_child(std::move(msg)); },
      [this](const node_introduced& event) { node_is_introduced(event); },
      [this](attach_bus& msg) { courier_ = std::move(msg.courier); },
      [this](const outbox_is_due&) { empty_outbox(); },
      [this](const deadline_tick&) { deadline_passed(); },
      [this](const get_pool_stats&) { return stats(); },
      [this](attach_supervisor& msg) {
        supervisor_ = std::move(msg.supervisor);
        dispatch(); // min_nodes
      },
  };
}

// -- events -------------------------------------------------------------------

void router_state::submit(pending_call_ptr call) {
  if (call->finished())
    return;
  const auto id = ++last_id_;
  const auto held = must_be_held(*call);
  if (!(held ? table_.submit_held(id, call->data.size()) : table_.submit(id, call->data.size()))) {
    call->fail(errc::buffer_full, "the buffer is full: " + std::to_string(table_.waiting()) + " calls with " +
                                      std::to_string(table_.waiting_bytes()) +
                                      " bytes wait; slow down, or raise buffer_calls_max or buffer_bytes_max");
    return;
  }
  if (held)
    held_.insert(id);
  use_own_limits(*call);
  await_deadline(id, call->timeout);
  await_deadline(id, call->wait_timeout);
  calls_.emplace(id, open_call{std::move(call), self_->clock().now()});
  dispatch();
}

void router_state::submit_to_all(fan_out& calls) {
  std::vector<node_id> nodes;
  for (const auto& entry : proxies_)
    nodes.push_back(entry.first);
  std::sort(nodes.begin(), nodes.end());
  auto runs = calls.open(nodes.size());
  const auto now = self_->clock().now();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    auto& call = *runs[i];
    if (call.finished())
      continue;
    const auto id = ++last_id_;
    use_own_limits(call);
    await_deadline(id, call.timeout);
    await_deadline(id, call.run_timeout);
    outbox_[nodes[i]].calls.push_back({id, call.slot, call.param, std::move(call.data)});
    broadcasts_.emplace(nodes[i], id);
    calls_.emplace(id, open_call{std::move(runs[i]), now, nodes[i], now, true});
  }
  empty_outbox();
}

void router_state::node_announced(node_announcement& event) {
  if (const auto* added = std::get_if<handler_registered>(&event.what)) {
    if (!registrations_.add(event.node, added->slot, added->param))
      return;
    release_held([&](const pending_call& x) { return x.slot == added->slot && x.param == added->param; });
    tell_bus(event.what);
    dispatch();
  } else if (const auto* removed = std::get_if<handler_unregistered>(&event.what)) {
    if (registrations_.remove(event.node, removed->slot, removed->param))
      tell_bus(event.what);
  } else if (std::holds_alternative<event_list>(event.what)) {
    tell_bus(event.what);
  }
}

void router_state::tell_bus(message what) {
  if (courier_)
    caf::anon_send(courier_, pool_announcement{std::move(what)});
}

void router_state::announce(announce_to_nodes& msg) {
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
  if (courier_)
    caf::anon_send(courier_, std::move(call));
  else
    answer_child({call.node, call.call.id,
                  failure{.code = errc::no_handler,
                          .text = "the master has no handler for slot " + call.call.slot + " with param " +
                                  call.call.param + ": no event_bus is connected to its master_channel"}});
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
    declared_.insert(event.slots->begin(), event.slots->end());
    // A slot that no node declares will never have a handler: the child says so best.
    release_held([this](const pending_call& x) { return !declared_.contains(x.slot); });
  }
  table_.node_ready(event.node);
  dispatch();
}

void router_state::node_is_gone(const node_gone& event) {
  if (proxies_.erase(event.node) == 0)
    return;
  for (auto& key : registrations_.node_gone(event.node))
    tell_bus(handler_unregistered{std::move(key.slot), std::move(key.param)});
  auto lost = table_.remove_node(event.node);
  for (auto pos = broadcasts_.lower_bound({event.node, 0}); pos != broadcasts_.end() && pos->first == event.node; ++pos)
    lost.push_back(pos->second);
  std::sort(lost.begin(), lost.end());
  fail_all(lost, event.cause);
  if (event.gave_up)
    fail_all(table_.launches_failed(0), event.cause);
  dispatch();
}

void router_state::calls_are_finished(calls_finished& event) {
  for (auto& [id, result] : event.calls) {
    if (table_.complete(event.node, id) || broadcasts_.contains({event.node, id}))
      finish(id, std::move(result));
  }
  dispatch();
}

void router_state::launches_failed(const launches_gave_up& event) {
  fail_all(table_.launches_failed(event.count), event.cause);
  dispatch();
}

void router_state::deadline_passed() {
  timer_.reset();
  const auto now = self_->clock().now();
  for (auto id : deadlines_.expire(now)) {
    auto pos = calls_.find(id);
    if (pos == calls_.end())
      continue;
    auto text = overdue(pos->second, now);
    if (!text)
      continue;          // it waited for a node no longer than it may
    table_.withdraw(id); // a running call stays on its node until the node answers
    finish(id, failure{.code = errc::timed_out, .text = std::move(*text), .node = pos->second.node});
  }
  arm_timer();
  dispatch();
}

void router_state::begin_draining(std::chrono::milliseconds timeout) {
  draining_ = true;
  table_.stop_refilling();
  become_(draining());
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), timeout, drain_expired{});
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

/// No node has registered a handler for it, and one still may.
bool router_state::must_be_held(const pending_call& call) const {
  return !call.no_buffer && !registrations_.contains(call.slot, call.param) &&
         (declared_.empty() || declared_.contains(call.slot));
}

void router_state::release_held(const std::function<bool(const pending_call&)>& which) {
  std::erase_if(held_, [&](call_id id) {
    auto pos = calls_.find(id);
    if (pos == calls_.end())
      return true; // timed out before
    if (!which(*pos->second.call))
      return false;
    table_.release(id);
    return true;
  });
}

/// Which time of the call has run out, if one has.
std::optional<std::string> router_state::overdue(const open_call& open, clock::time_point now) const {
  const auto& call = *open.call;
  const auto over = [now](clock::time_point start, caf::timespan time) {
    return time < no_timeout && now >= start + time;
  };
  const auto waits = open.node == 0;
  if (!over(open.submitted_at, call.timeout) && !(waits && over(open.submitted_at, call.wait_timeout)) &&
      !(!waits && over(open.sent_at, call.run_timeout)))
    return std::nullopt;
  auto result = "TIMED_OUT on " + call.slot + " with param " + call.param;
  if (waits && must_be_held(call) && !declared_.empty())
    result += ": no node has registered a handler for it";
  return result;
}

void router_state::await_deadline(call_id id, caf::timespan timeout) {
  if (timeout >= no_timeout)
    return;
  deadlines_.add(id, self_->clock().now(), timeout);
  arm_timer();
}

void router_state::dispatch() {
  const auto plan = table_.dispatch();
  if (plan.launch > 0)
    caf::anon_send(supervisor_, launch_nodes{plan.launch});
  if (plan.assign.empty())
    return;
  const auto now = self_->clock().now();
  for (const auto& [id, node] : plan.assign) {
    auto& open = calls_.at(id);
    open.node = node;
    open.sent_at = now;
    await_deadline(id, open.call->run_timeout);
    outbox_[node].calls.push_back({id, open.call->slot, open.call->param, std::move(open.call->data)});
  }
  // While more messages wait, more calls may follow for the same nodes: those go out together, and then share a system
  // call. The message to itself comes behind what is in the mailbox now.
  if (self_->mailbox().empty())
    empty_outbox();
  else if (!std::exchange(outbox_due_, true))
    caf::anon_send(caf::actor_cast<caf::actor>(self_), outbox_is_due{});
}

void router_state::empty_outbox() {
  outbox_due_ = false;
  for (auto& [node, batch] : outbox_)
    if (auto pos = proxies_.find(node); pos != proxies_.end()) // else its calls have failed with it
      caf::anon_send(pos->second, std::move(batch));
  outbox_.clear();
}

void router_state::finish(call_id id, answer&& result) {
  auto node = calls_.extract(id);
  if (node.empty())
    return; // timed out before
  if (node.mapped().broadcast)
    broadcasts_.erase({node.mapped().node, id});
  node.mapped().call->finish(std::move(result));
  deadlines_.forget_answered(calls_.size(), [this](call_id x) { return calls_.contains(x); });
  check_drained();
}

void router_state::fail_all(const std::vector<call_id>& calls, const failure& cause) {
  const auto now = self_->clock().now();
  for (auto id : calls) {
    auto pos = calls_.find(id);
    if (pos == calls_.end())
      continue;
    auto what = cause;
    if (const auto& open = pos->second; open.node != 0) {
      what.node = open.node;
      what.ran_for = now - open.sent_at;
    }
    finish(id, std::move(what));
  }
}

void router_state::arm_timer() {
  const auto next = deadlines_.next();
  if (!next || (timer_ && *timer_ <= *next))
    return;
  timer_ = next;
  const auto pause = std::max(*next - self_->clock().now(), clock::duration::zero());
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), pause, deadline_tick{});
}

void router_state::check_drained() {
  if (draining_ && calls_.empty())
    caf::anon_send(supervisor_, router_drained{});
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
