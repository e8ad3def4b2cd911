// The router actor: takes calls, sends each to a node, and ends every one of them exactly once.
//
// It acts on what route_table and deadline_queue decide; it launches nothing and knows no process. Run it in the
// event loop of the child proxies (`spawn_router`), where handing over a call wakes no thread, or as an ordinary actor
// (`spawn_scheduled_router`), which is what tests under CAF's test coordinator do.
//
// A call for which no node has registered a handler is held, in its place in the line, until one has.
//
// A bus hands its calls over through a `router_inbox`, on which only the first of a burst sends a message.
//
// Messages for users: `slot_request`, `get_pool_stats`, `pending_call_ptr`, `fan_out_ptr` (see pool_messages.hpp). To a
// router that has ended they are answered as CAF does for any actor, or end their call with `channel_closed`.
#pragma once

#include <cluster_channel/actors/bus_feed.hpp>
#include <cluster_channel/actors/deadline_queue.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/pool_options.hpp>
#include <cluster_channel/actors/registration_table.hpp>
#include <cluster_channel/actors/route_table.hpp>

#include <boost/unordered/unordered_flat_map.hpp>
#include <caf/actor_system.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace cluster_channel {

/// The inbox for the router of a pool with these options.
std::shared_ptr<router_inbox> make_router_inbox(const pool_options& options);

/// Starts a router in the I/O event loop of `system`, which must have loaded `caf::io::middleman`.
/// Its first message must be `attach_supervisor`.
/// @param inbox where calls come from besides messages; whoever pushes sends `inbox_filled` when told to. The router
///        closes it when it ends.
caf::actor spawn_router(caf::actor_system& system, const pool_options& options,
                        std::shared_ptr<router_inbox> inbox = nullptr);

/// The same as an ordinary, scheduled actor.
caf::actor spawn_scheduled_router(caf::actor_system& system, const pool_options& options,
                                  std::shared_ptr<router_inbox> inbox = nullptr);

/// State and behaviours of the router; public for its tests only.
class router_state {
public:
  static inline const char* name = "cluster_channel.router";

  using become_function = std::function<void(caf::behavior)>;

  router_state() = default;
  router_state(const router_state&) = delete;
  router_state& operator=(const router_state&) = delete;
  ~router_state();

  /// To be called once, by the actor `self` that owns this state; `become` is that actor's.
  caf::behavior start(caf::scheduled_actor* self, become_function become, const pool_options& options,
                      std::shared_ptr<router_inbox> inbox);

private:
  using clock = deadline_queue::clock;

  struct open_call {
    pending_call_ptr call;
    clock::time_point submitted_at;
    clock::time_point sent_at = {};
    clock::time_point watched = clock::time_point::max(); // the earliest of its entries in deadlines_
    node_id node = 0;                                     // 0 while it waits
    bool held = false;
    std::size_t broadcast_bytes = 0;       // of a run of a broadcast
    bool broadcast = false;                // its node runs it beside the calls of the table; see broadcasts_
    std::unique_ptr<answer> answered = {}; // it came, and waits for handlers: see hold_answers
    clock::time_point answered_at = {};
  };

  struct key_hash {
    std::size_t operator()(const handler_key& key) const noexcept;
  };

  // -- lifecycle states: each is one behaviour --------------------------------
  caf::behavior serving();
  caf::behavior draining();
  caf::message_handler pool_events();

  // -- events -----------------------------------------------------------------
  void take_from_inbox();
  void take(std::shared_ptr<inbox_item> item);
  void take(const announce_to_nodes& msg) { announce(msg); }
  void take(child_answer& msg) { answer_child(std::move(msg)); }
  void submit(pending_call_ptr call);
  void broadcast(fan_out& calls);
  void submit_to_all(fan_out& calls);
  void node_announced(node_announcement& event);
  void attach(std::shared_ptr<bus_courier> courier);
  void tell_bus(const handler_key& key, bool registered);
  void announce(const announce_to_nodes& msg);
  void child_calls(child_call& call);
  void answer_child(child_answer&& answer);
  void node_is_ready(const node_ready& event);
  void node_is_introduced(const node_introduced& event);
  void tell_all(const caf::actor& proxy) const;
  void node_is_gone(const node_gone& event);
  void take(const answers_may_go& msg) { let_answers_go(msg); }
  void calls_are_finished(calls_finished& event);
  void let_answers_go(const answers_may_go& event);
  void launches_failed(const launches_gave_up& event);
  void refill_later();
  void deadline_passed();
  void begin_draining(std::chrono::milliseconds timeout);
  void end_draining();

  // -- helpers ----------------------------------------------------------------
  pending_call_ptr from_request(slot_request& msg);
  void use_own_limits(pending_call& call) const;
  bool must_be_held(const pending_call& call) const;
  bool may_broadcast(std::size_t size) const;
  static failure out_of_memory() noexcept;
  static failure copy_of(const failure& cause) noexcept;
  void give_back(node_id node, call_id id);
  static std::string buffer_full_text(std::size_t calls, std::size_t bytes);
  void release(const std::set<call_id>& calls);
  void release_held(const handler_key& key);
  void release_undeclared();
  void forget_held(call_id id, const pending_call& call);
  void declare(node_id node, const std::vector<std::string>& slots);
  void undeclare(node_id node);
  clock::time_point deadline_of(const open_call& open) const;
  std::string overdue_text(const open_call& open) const;
  void watch(call_id id, open_call& open);
  void arm(clock::time_point next);
  void dispatch();
  void launch(std::size_t count);
  bool hand_over(const std::vector<route_table::assignment>& assigned);
  bool empty_outbox();
  void hold_answers(calls_finished& event);
  void hold_answer(finished_call& answer);
  void time_out(call_id id, clock::time_point now);
  void finish_answered(call_id id);
  void finish(call_id id, answer&& result);
  void fail(call_id id, const failure& cause);
  void fail_all(const std::vector<call_id>& calls, const failure& cause);
  void check_drained();
  pool_stats stats() const;

  caf::scheduled_actor* self_ = nullptr;
  become_function become_;
  std::shared_ptr<router_inbox> inbox_;
  inbox_batch taken_; // from the inbox, and not handled yet
  caf::actor supervisor_;
  std::shared_ptr<bus_courier> courier_;     // of the bus, if one is connected
  std::optional<bus_feed> bus_feed_;         // to the courier
  std::optional<flow_window> courier_calls_; // calls of children that the courier has not handled
  pool_options options_;
  route_table table_{route_limits{}};
  deadline_queue deadlines_;
  tick_schedule ticks_;
  boost::unordered_flat_map<call_id, open_call> calls_;
  std::unordered_map<node_id, caf::actor> proxies_;
  std::unordered_map<node_id, node_introduced> introduced_; // launched, and not ready yet
  registration_table registrations_;
  std::set<std::pair<node_id, call_id>> broadcasts_;                  // runs of broadcasts
  std::size_t broadcast_bytes_ = 0;                                   // of their requests
  std::unordered_map<handler_key, std::set<call_id>, key_hash> held_; // calls without a registered handler
  std::unordered_map<node_id, std::vector<std::string>> declared_by_; // slots, by nodes that are ready
  std::map<std::string, std::size_t> declared_; // by how many of those nodes, or by the last one that has gone
  std::set<std::pair<std::string, std::string>> announced_; // the master's handlers: slot, parameter
  std::optional<event_list> ignored_;                       // what the master ignores
  std::set<call_id> answered_;                              // open calls whose answer waits for handlers
  std::unordered_map<node_id, std::size_t> follows_;        // how often the courier follows a node at this moment
  std::map<node_id, assign_calls> outbox_;                  // assigned, and not yet handed to the proxies
  bool outbox_due_ = false;
  bool taking_later_ = false; // a message to go on with what was taken is on its way
  call_id last_id_ = 0;
  bool refill_due_ = false; // a message to launch again for min_nodes is on its way
  bool draining_ = false;
};

} // namespace cluster_channel
