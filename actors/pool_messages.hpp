// The messages between router, supervisor and child proxies, and those a user sends to the router.
//
// Plain structs rather than atoms: they read better and survive the change of atoms between CAF versions. All but
// `slot_request` and `slot_response` stay inside one process.
#pragma once

#include <cluster_channel/actors/bus_courier.hpp>
#include <cluster_channel/actors/detail/unique_fd.hpp>
#include <cluster_channel/actors/fan_out.hpp>
#include <cluster_channel/actors/flow_window.hpp>
#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/actors/process_host.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cluster_channel {

// -- for users ----------------------------------------------------------------

/// Calls a slot. Send it to a pool's router with `self->request(router, caf::infinite, slot_request{...})`; the answer
/// is a `slot_response` or a `caf::error` of `error_category`. `encode` and `decode` make and read the bytes. Sent
/// without `request`, it is an event: its answer is dropped.
struct slot_request {
  std::string slot{};
  std::string param = default_param;
  bytes data{};
};

struct slot_response {
  bytes data{};
};

namespace detail {

/// Lets CAF carry `data` as a string, which it copies whole; of a vector of bytes it would inspect each one.
template <class Inspector, class... Fields>
typename Inspector::result_type inspect_with_bytes(Inspector& f, bytes& data, Fields&... fields) {
  std::string text{as_text(data)};
  if constexpr (Inspector::writes_state) {
    auto result = f(fields..., text);
    const auto view = as_bytes_view(text);
    data.assign(view.begin(), view.end());
    return result;
  } else {
    return f(fields..., text);
  }
}

} // namespace detail

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, slot_request& x) {
  return detail::inspect_with_bytes(f, x.data, x.slot, x.param);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, slot_response& x) {
  return detail::inspect_with_bytes(f, x.data);
}

/// Asks a router how its pool is doing; answered with `pool_stats`.
struct get_pool_stats {};

struct pool_stats {
  std::size_t ready_nodes = 0;
  std::size_t launching_nodes = 0;
  std::size_t idle_nodes = 0;
  std::size_t waiting_calls = 0;
  std::size_t waiting_bytes = 0;
  std::size_t running_calls = 0;
};

/// Asks a supervisor to close its pool: no new calls, running and waiting ones finish within `drain_timeout`, then the
/// children are stopped. Answered with `pool_closed` when the last child was reaped, or `kill_grace` has passed; router
/// and supervisor end then. May be sent again until that; later a request fails at once with `request_receiver_down`.
struct close_pool {
  std::chrono::milliseconds drain_timeout{};
};

/// A process that a closed pool could not end in time.
struct left_process {
  node_id node = 0;
  std::int32_t pid = 0; ///< 0: not known, its launch had not ended
};

struct pool_closed {
  std::vector<left_process> left_behind{}; ///< what did not end within all graces: nothing, as a rule
};

// -- wiring -------------------------------------------------------------------

/// First message to a router: who launches its nodes.
struct attach_supervisor {
  caf::actor supervisor{};
};

/// To a router, once: who takes `child_call`s and what the pool's nodes announce (`pool_announcement`).
struct attach_bus {
  std::shared_ptr<bus_courier> courier{};
};

/// `get_pool_stats` and `close_pool` by a thread that is no actor: the answer is a call of this function, from any
/// thread. It is dropped if the actor has ended.
struct stats_query {
  std::function<void(const pool_stats&)> answer{};
};
struct close_query {
  std::chrono::milliseconds drain_timeout{};
  std::function<void(const pool_closed&)> answer{};
};

/// First message to a supervisor: who launches its processes.
struct attach_host {
  std::shared_ptr<process_host> host{};
};

// -- router <-> supervisor ----------------------------------------------------

/// Router to supervisor: start this many more nodes.
struct launch_nodes {
  std::size_t count = 0;
};

/// Supervisor to router: `node` takes calls, as `assign_calls` to `proxy`. It declares `slots`, if that is known.
struct node_ready {
  node_id node = 0;
  std::int32_t pid = 0;
  caf::actor proxy{};
  std::optional<std::vector<std::string>> slots = std::vector<std::string>{};
};

/// Proxy to supervisor, once per proxy, and from there to the router if the node was ready: the node is lost, and this
/// is what its running calls fail with.
struct node_gone {
  node_id node = 0;
  failure cause{};
  bool served = false;     ///< it was given at least one call
  bool permanent = false;  ///< starting another one cannot help (the two ends do not fit)
  bool misbehaved = false; ///< its process is to be killed rather than asked to end
  bool gave_up = false;    ///< set by the supervisor: it will not be replaced before something changes
};

/// Supervisor to router: this many requested nodes will not come.
struct launches_gave_up {
  std::size_t count = 0;
  failure cause{};
};

/// Supervisor to router: take no more calls; say `router_drained` when none is left, at the latest after `timeout`.
struct drain_router {
  std::chrono::milliseconds timeout{};
};

struct router_drained {};

// -- router <-> proxy ---------------------------------------------------------

struct assign_calls {
  std::vector<request> calls{};
};

struct finished_call {
  call_id call = 0;
  answer result{};
};

/// Proxy to router: these calls ended on `node`, in the order in which the child answered.
struct calls_finished {
  node_id node = 0;
  std::vector<finished_call> calls{};
};

/// Proxy to router: the child told of its handlers: `handler_registered`, `handler_unregistered` or `event_list`.
struct node_announcement {
  node_id node = 0;
  message what{};
};

/// Proxy to router, and from there to the courier: a child calls a slot of the master's.
struct child_call {
  node_id node = 0;
  request call{};
  flow_window::token in_window{}; ///< held until the master's handlers have returned
};

/// To a router, and from there to the proxy of that node: the answer of a `child_call`. Dropped if the node is gone.
struct child_answer {
  node_id node = 0;
  call_id call = 0;
  answer result{};
};

/// Proxy to router: a child was launched, and may call before the router hears that it is ready; without `proxy`: it
/// ended before it was. `listens`: it says no hello, and is to be told of the master's handlers already.
struct node_introduced {
  node_id node = 0;
  caf::actor proxy{};
  bool listens = false;
};

/// Router to proxy: tell the child, in this order.
struct tell_child {
  std::vector<message> messages{};
};

// -- bus <-> router -----------------------------------------------------------

/// Courier to router: these calls need not wait any longer, see `bus_courier::follow`. Without `calls`: none need.
struct answers_may_go {
  node_id node = 0;
  std::vector<call_id> calls{};
};

/// Bus to router: tell every node, those to come included: `handler_registered`, `handler_unregistered`, `event_list`.
struct announce_to_nodes {
  message what{};
};

/// Router to courier: what the nodes announced changed for the pool as a whole.
struct pool_announcement {
  message what{};
  flow_window::token in_window{}; ///< held until the bus knows
};

/// Bus to router: take what was pushed onto the inbox.
struct inbox_filled {};

/// What a bus sends besides calls through the inbox, as it must neither overtake them nor be overtaken.
class bus_message final : public inbox_item {
public:
  using content = std::variant<announce_to_nodes, child_answer, answers_may_go>;
  explicit bus_message(content msg) : inbox_item{kind::other}, what{std::move(msg)} {}
  content what;
};

// -- supervisor <-> proxy -----------------------------------------------------

/// Proxy to supervisor: the child said hello and agrees. It declares `slots`, if that is known.
struct node_hello {
  node_id node = 0;
  std::optional<std::vector<std::string>> slots = std::vector<std::string>{};
};

/// Supervisor to proxy: send end of file to the child.
struct shut_link {};

// -- process host -> supervisor -----------------------------------------------

/// A `process_started` on its way: if nobody takes it, as the supervisor has ended, it closes the link.
class started_process {
public:
  explicit started_process(const process_started& event) : event_{event}, link_{event.link_fd} {}

  const process_started& event() const noexcept { return event_; }

  /// The caller owns the link from then on.
  process_started take() noexcept {
    link_.release();
    return event_;
  }

private:
  process_started event_;
  detail::unique_fd link_;
};

using started_process_ptr = std::shared_ptr<started_process>;

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::get_pool_stats)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::pool_stats)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::close_pool)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::pool_closed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::stats_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::close_query)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::answers_may_go)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::attach_supervisor)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::attach_bus)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::attach_host)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::node_announcement)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::child_call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::child_answer)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::node_introduced)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::tell_child)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::announce_to_nodes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::pool_announcement)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::inbox_filled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::launch_nodes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::node_ready)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::node_gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::launches_gave_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::drain_router)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::router_drained)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::assign_calls)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::calls_finished)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::node_hello)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::shut_link)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::started_process_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::process_started)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::process_failed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::process_exited)
