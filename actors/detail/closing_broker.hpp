// A broker that closes its mailbox when it ends, as all other actors do, and each of its connections.
//
// CAF 0.17.6 leaves the mailbox of a broker open: `abstract_broker::cleanup` passes by that of `scheduled_actor`, which
// closes it. So a request that comes later is never answered, and whatever a message holds stays there until the last
// handle to the broker goes.
//
// And its event loop takes what one round adds and removes together: a connection that is added and closed in the same
// round is neither watched nor ever told to go, and keeps its descriptor for good. So connections are closed a round
// later.
#pragma once

#include <cluster_channel/actors/detail/insisting_actor.hpp>

#include <caf/io/broker.hpp>
#include <caf/io/network/multiplexer.hpp>

#include <new>
#include <utility>

namespace cluster_channel::detail {

/// Runs `f()` in the next round of the broker's event loop, and keeps the broker until then. Call it on that loop.
template <class F>
void in_next_round(caf::io::broker& self, F f) {
  self.backend().post([keeps = caf::strong_actor_ptr{self.ctrl()}, f = std::move(f)]() mutable { f(); });
}

class closing_broker : public caf::io::broker {
public:
  using caf::io::broker::broker;
  using caf::io::broker::enqueue;

  void enqueue(caf::mailbox_element_ptr msg, caf::execution_unit*) override {
    enqueue_insisting(*this, std::move(msg), &backend());
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    try {
      in_next_round(*this, [this] { close_all(); });
    } catch (const std::bad_alloc&) {
      close_all();
    }
    // NOLINTNEXTLINE(bugprone-parent-virtual-call): that of the parent is what leaves it open
    return caf::scheduled_actor::cleanup(std::move(reason), host);
  }
};

} // namespace cluster_channel::detail
