// The courier actor: brings what a pool's children call and announce to the bus of the master.
//
// A thread of its own by default, so that a handler of the master's may take its time, block, and wait for calls to the
// very pool: the I/O event loop and the supervisor go on meanwhile. Handlers run one after the other.
#pragma once

#include <cluster_channel/channels/channel.hpp>
#include <cluster_channel/channels/router_target.hpp>

#include <caf/actor_system.hpp>

#include <memory>

namespace cluster_channel::detail {

/// Takes `child_call` and `pool_announcement`. It ends when it is told to exit.
caf::actor spawn_courier(caf::actor_system& system, std::shared_ptr<router_target> pool,
                         std::shared_ptr<channel_listener> bus);

/// The same as a scheduled actor, for tests under CAF's test coordinator.
caf::actor spawn_scheduled_courier(caf::actor_system& system, std::shared_ptr<router_target> pool,
                                   std::shared_ptr<channel_listener> bus);

} // namespace cluster_channel::detail
