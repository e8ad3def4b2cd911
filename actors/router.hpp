// The router actor: takes calls, sends each to a node, and ends every one of them exactly once.
//
// It acts on what route_table and deadline_queue decide; it launches nothing and knows no process. Run it in the
// event loop of the child proxies (`spawn_router`), where handing over a call wakes no thread, or as an ordinary actor
// (`spawn_scheduled_router`), which is what tests under CAF's test coordinator do.
//
// A call for which no node has registered a handler is held, in its place in the line, until one has.
//
// Messages for users: `slot_request`, `get_pool_stats`, `pending_call_ptr`, `fan_out_ptr` (see pool_messages.hpp).
#pragma once

#include <cluster_channel/actors/deadline_queue.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/pool_options.hpp>
#include <cluster_channel/actors/registration_table.hpp>
#include <cluster_channel/actors/route_table.hpp>

#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace cluster_channel {

/// Starts a router in the I/O event loop of `system`, which must have loaded `caf::io::middleman`.
/// Its first message must be `attach_supervisor`.
caf::actor spawn_router(caf::actor_system& system, const pool_options& options);

/// The same as an ordinary, scheduled actor.
caf::actor spawn_scheduled_router(caf::actor_system& system, const pool_options& options);

/// State and behaviours of the router; public for its tests only.
class router_state {
public:
  static inline const char* name = "cluster_channel.router";

  using become_function = std::function<void(caf::behavior)>;

  /// To be called once, by the actor `self` that owns this state; `become` is that actor's.
  caf::behavior start(caf::scheduled_actor* self, become_function become, const pool_options& options);

private:
  using clock = deadline_queue::clock;

  struct open_call {
    pending_call_ptr call;
    clock::time_point submitted_at;
    node_id node = 0; // 0 while it waits
    clock::time_point sent_at = {};
    bool broadcast = false; // its node runs it beside the calls of the table; see broadcasts_
  };

  // -- lifecycle states: each is one behaviour --------------------------------
  caf::behavior serving();
  caf::behavior draining();
  caf::message_handler pool_events();

  // -- events -----------------------------------------------------------------
  void submit(pending_call_ptr call);
  void submit_to_all(fan_out& calls);
  void node_announced(node_announcement& event);
  void tell_bus(message what);
  void announce(announce_to_nodes& msg);
  void child_calls(child_call& call);
  void answer_child(child_answer&& answer);
  void node_is_ready(const node_ready& event);
  void node_is_introduced(const node_introduced& event);
  void tell_all(const caf::actor& proxy) const;
  void node_is_gone(const node_gone& event);
  void calls_are_finished(calls_finished& event);
  void launches_failed(const launches_gave_up& event);
  void deadline_passed();
  void begin_draining(std::chrono::milliseconds timeout);
  void end_draining();

  // -- helpers ----------------------------------------------------------------
  pending_call_ptr from_request(slot_request& msg);
  void use_own_limits(pending_call& call) const;
  bool must_be_held(const pending_call& call) const;
  void release_held(const std::function<bool(const pending_call&)>& which);
  std::optional<std::string> overdue(const open_call& open, clock::time_point now) const;
  void await_deadline(call_id id, caf::timespan timeout);
  void dispatch();
  void empty_outbox();
  void finish(call_id id, answer&& result);
  void fail_all(const std::vector<call_id>& calls, const failure& cause);
  void arm_timer();
  void check_drained();
  pool_stats stats() const;

  caf::scheduled_actor* self_ = nullptr;
  become_function become_;
  caf::actor supervisor_;
  caf::actor courier_; // of the bus, if one is connected
  pool_options options_;
  route_table table_{route_limits{}};
  deadline_queue deadlines_;
  std::optional<clock::time_point> timer_; // when the armed timer fires
  std::unordered_map<call_id, open_call> calls_;
  std::unordered_map<node_id, caf::actor> proxies_;
  std::unordered_map<node_id, node_introduced> introduced_; // launched, and not ready yet
  registration_table registrations_;
  std::set<std::pair<node_id, call_id>> broadcasts_;        // runs of broadcasts
  std::set<call_id> held_;                                  // calls without a registered handler
  std::set<std::string> declared_;                          // slots that some node has declared
  std::set<std::pair<std::string, std::string>> announced_; // the master's handlers: slot, parameter
  std::optional<event_list> ignored_;                       // what the master ignores
  std::map<node_id, assign_calls> outbox_;                  // assigned, and not yet handed to the proxies
  bool outbox_due_ = false;
  call_id last_id_ = 0;
  bool draining_ = false;
};

} // namespace cluster_channel
