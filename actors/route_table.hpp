// The dispatch decision: which call goes to which node, when a new node is wanted, what waits.
//
// A plain value: no clock, no I/O, no actors, so a test can drive it call by call. Nothing is dropped silently: calls
// that lost their node or their hope of one are returned to the caller of the function that caused it.
// Not thread-safe; the router actor owns the one of its pool.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <vector>

namespace cluster_channel {

/// Bounds of one pool. All counts are at least 1 except `nodes_min`.
struct route_limits {
  std::size_t nodes_max = 1;
  std::size_t nodes_min = 0;
  std::size_t calls_per_node = 1;
  std::size_t buffer_calls_max = 1;
  std::size_t buffer_bytes_max = 1;
};

/// Idle node first, else a new one up to the maximum, else a node with room for one more call, else wait.
class route_table {
public:
  struct assignment {
    call_id call = 0;
    node_id node = 0;
    friend bool operator==(const assignment&, const assignment&) = default;
  };

  /// What is to be done now.
  struct plan {
    std::vector<assignment> assign; ///< in the order in which the calls came
    std::size_t launch = 0;         ///< how many new nodes to start
    call_id starved = 0;            ///< there was no memory to assign this call, nor those after it; 0: there was
  };

  explicit route_table(const route_limits& limits);

  /// Puts a call of `size` payload bytes at the end of the line. Ids must not repeat.
  /// @returns false if the buffer is full; the call is not taken then.
  [[nodiscard]] bool submit(call_id call, std::size_t size);

  /// The same for a call that no node can take yet (no handler is registered for it): it waits, and makes nodes start,
  /// but stays where it is until `release`.
  [[nodiscard]] bool submit_held(call_id call, std::size_t size);

  /// Puts a held call into the line, at the place that its id gives it: ids grow in the order in which calls came.
  void release(call_id call);

  /// One of the launching nodes can take calls from now on.
  void node_ready(node_id node);

  /// `node` answered `call`. @returns false, changing nothing, unless that call runs on that very node.
  bool complete(node_id node, call_id call);

  /// Forgets a ready node. @returns the calls that ran on it, oldest first.
  [[nodiscard]] std::vector<call_id> remove_node(node_id node);

  /// `count` launching nodes will not come. @returns the waiting calls, oldest first, if no other node is left that
  /// could take them; else nothing, and they go on waiting. No further node is launched until something has changed:
  /// a new call, a node that came up, or one that went.
  [[nodiscard]] std::vector<call_id> launches_failed(std::size_t count);

  /// Takes a waiting call out of the line. @returns false if it does not wait.
  bool withdraw(call_id call);

  /// Takes all waiting calls out of the line, oldest first.
  [[nodiscard]] std::vector<call_id> withdraw_all();

  /// Assigns what can be assigned and counts what must be launched. To be called after every change above; calling it
  /// again without a change plans nothing. For a lack of memory see `plan::starved`; the functions above change nothing
  /// then, and throw `std::bad_alloc`.
  [[nodiscard]] plan dispatch() noexcept;

  /// From now on no node is launched to keep `nodes_min`.
  void stop_refilling() noexcept { limits_.nodes_min = 0; }

  /// Launches may be tried again after `launches_failed`, although nothing else has changed.
  void try_launches() noexcept { hold_launches_ = false; }

  std::size_t waiting() const noexcept { return waiting_.size(); }
  std::size_t waiting_bytes() const noexcept { return waiting_bytes_; }
  std::size_t running() const noexcept { return running_.size(); }
  std::size_t ready_nodes() const noexcept { return nodes_.size(); }
  std::size_t launching_nodes() const noexcept { return launching_; }
  std::size_t idle_nodes() const noexcept { return idle_; }

private:
  // Order of preference among nodes with room: least loaded, and among those the one used last, whose caches are warm.
  struct room {
    std::size_t load = 0;
    std::uint64_t age = 0; // counts down with every use
    node_id node = 0;
    friend auto operator<=>(const room&, const room&) = default;
  };

  /// A ready node. The size of `running` is its load.
  struct node_entry {
    std::uint64_t age = 0;
    std::vector<call_id> running;
    std::set<room>::node_type place = {}; // its place in with_room_, while it is not there
  };

  /// A call that waits: in the line, or held.
  struct waiting_call {
    std::size_t size = 0;
    bool held = false;
  };

  /// Where a call runs.
  struct running_call {
    node_id node = 0;
    std::size_t place = 0; // in its node's `running`
  };

  bool submit(call_id call, std::size_t size, bool held);
  bool has_room_for(std::size_t size) const noexcept;
  std::size_t in_line() const noexcept { return waiting_.size() - held_; }
  bool in_line(call_id call) const;
  bool may_take_more() const noexcept { return !with_room_.empty(); }
  void enlist(node_id node, node_entry& entry) noexcept;
  void delist(node_id node, node_entry& entry) noexcept;
  call_id front();
  void take_front(call_id call) noexcept;
  void assign(plan& out);
  void assign_front(plan& out);

  route_limits limits_;
  std::deque<call_id> line_;   // may hold withdrawn calls
  std::set<call_id> released_; // in the line too: were held, and came before its end
  boost::unordered_flat_map<call_id, waiting_call> waiting_;
  boost::unordered_flat_map<call_id, running_call> running_;
  boost::unordered_flat_map<node_id, node_entry> nodes_; // ready nodes
  std::set<room> with_room_;                             // ready nodes with load < calls_per_node
  std::size_t held_ = 0;
  std::size_t idle_ = 0;
  std::size_t free_places_ = 0; // of all ready nodes together
  std::size_t waiting_bytes_ = 0;
  std::size_t launching_ = 0;
  std::uint64_t uses_ = 0;
  bool hold_launches_ = false; // a launch failed for good and nothing has changed since
};

} // namespace cluster_channel
