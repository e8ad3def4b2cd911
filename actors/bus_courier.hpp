// Where a router hands what the children of its pool call and announce: the way to the bus of the master.
//
// An interface, so that a router knows neither slots nor threads; see channels/courier.hpp.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <vector>

namespace cluster_channel {

struct child_call;
struct pool_announcement;

/// All functions are thread-safe and return at once. What they take is handled one after the other, in this order.
class bus_courier {
public:
  virtual ~bus_courier() = default;

  virtual void take(child_call&& call) = 0;
  virtual void take(pool_announcement&& what) = 0;

  /// Brings the word that all which was taken from `node` before has been handled: `answers_may_go` to the router.
  /// @param answered calls whose answers wait for that.
  /// @param after_others answers of `node` wait already.
  /// @returns false if there is nothing to wait for, or a handler itself waits: then the answers are not to.
  virtual bool follow(node_id node, const std::vector<call_id>& answered, bool after_others) = 0;
};

} // namespace cluster_channel
