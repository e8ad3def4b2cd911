// A broker that closes its mailbox when it ends, as all other actors do.
//
// CAF 0.17.6 leaves the mailbox of a broker open: `abstract_broker::cleanup` passes by that of `scheduled_actor`, which
// closes it. So a request that comes later is never answered, and whatever a message holds stays there until the last
// handle to the broker goes.
#pragma once

#include <caf/io/broker.hpp>

#include <utility>

namespace cluster_channel::detail {

class closing_broker : public caf::io::broker {
public:
  using caf::io::broker::broker;

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    close_all();
    // NOLINTNEXTLINE(bugprone-parent-virtual-call): that of the parent is what leaves it open
    return caf::scheduled_actor::cleanup(std::move(reason), host);
  }
};

} // namespace cluster_channel::detail
