// The courier: brings what a pool's children call and announce to the bus of the master.
//
// On a thread of its own by default, so that a handler of the master's may take its time, block, and wait for calls to
// the very pool: the I/O event loop and the supervisor go on meanwhile. Handlers run one after the other. Not an actor,
// as CAF cannot start a thread for one without the risk to hang when there is none left.
#pragma once

#include <cluster_channel/actors/bus_courier.hpp>
#include <cluster_channel/channels/channel.hpp>
#include <cluster_channel/channels/router_target.hpp>

#include <caf/actor_system.hpp>

#include <memory>

namespace cluster_channel::detail {

class courier : public bus_courier {
public:
  /// Handles what it has taken, and nothing after that. Returns at once.
  virtual void stop() noexcept = 0;

  /// Waits until all is handled; to be called once, after `stop`, not by a handler.
  virtual void join() noexcept = 0;

  /// Whether this is the thread that runs the handlers.
  virtual bool is_this_thread() const noexcept = 0;

  /// Brackets of what makes a handler wait: answers do not wait for it then.
  virtual void begin_waiting() noexcept = 0;
  virtual void end_waiting() noexcept = 0;
};

/// A courier on a thread of its own. `pool_id` marks that thread, see thread_marks.hpp.
/// @throws std::system_error if the system has no thread left.
std::shared_ptr<courier> make_courier(std::shared_ptr<router_target> pool, std::shared_ptr<channel_listener> bus,
                                      const void* pool_id);

/// A courier in an actor, for tests under CAF's test coordinator.
std::shared_ptr<courier> make_scheduled_courier(caf::actor_system& system, std::shared_ptr<router_target> pool,
                                                std::shared_ptr<channel_listener> bus);

} // namespace cluster_channel::detail
