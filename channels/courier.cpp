#include <cluster_channel/channels/courier.hpp>

#include <caf/event_based_actor.hpp>

#include <utility>

namespace cluster_channel::detail {

namespace {

/// Sends the answer of one of the master's handlers to the child that asked.
class child_sink final : public answer_sink {
public:
  child_sink(std::shared_ptr<router_target> to, node_id node, call_id call)
      : to_{std::move(to)}, node_{node}, call_{call} {}

  void answered(answer&& x) noexcept override { to_->answer_child({node_, call_, std::move(x)}); }

private:
  std::shared_ptr<router_target> to_;
  node_id node_;
  call_id call_;
};

caf::behavior courier(caf::event_based_actor*, const std::shared_ptr<router_target>& pool,
                      const std::shared_ptr<channel_listener>& bus) {
  return {
      [pool, bus](child_call& msg) {
        auto sink = std::make_shared<child_sink>(pool, msg.node, msg.call.id);
        bus->request_received(std::make_shared<pending_call>(std::move(msg.call.slot), std::move(msg.call.param),
                                                             std::move(msg.call.data), std::move(sink)));
      },
      [pool, bus](const pool_announcement& msg) { pool->learn(msg.what, *bus); },
  };
}

} // namespace

caf::actor spawn_courier(caf::actor_system& system, std::shared_ptr<router_target> pool,
                         std::shared_ptr<channel_listener> bus) {
  return system.spawn<caf::detached>(courier, std::move(pool), std::move(bus));
}

caf::actor spawn_scheduled_courier(caf::actor_system& system, std::shared_ptr<router_target> pool,
                                   std::shared_ptr<channel_listener> bus) {
  return system.spawn(courier, std::move(pool), std::move(bus));
}

} // namespace cluster_channel::detail
