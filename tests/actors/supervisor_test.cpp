// The supervisor alone, with test actors in place of router and proxies, in virtual time.

#include <cluster_channel/actors/supervisor.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace cluster_channel {

namespace {

/// Every process starts at once, and signals kill it.
class willing_host final : public process_host {
public:
  explicit willing_host(caf::actor supervisor) : supervisor_{std::move(supervisor)} {}

  void launch(node_id node, std::size_t) override { caf::anon_send(supervisor_, process_started{node, 4711, -1}); }
  void signal(node_id node, int signo) override { caf::anon_send(supervisor_, process_exited{node, {true, signo}}); }

private:
  caf::actor supervisor_;
};

TEST(Supervisor, AProxyThatCrashesLosesItsNodeAndNothingElse) {
  test::system_config config;
  caf::actor_system system{config};
  auto& coordinator = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::vector<node_id> ready;
  std::vector<node_gone> gone;
  const auto router = system.spawn([&](caf::event_based_actor*) -> caf::behavior {
    return {
        [](const attach_supervisor&) {},
        [&](const node_ready& event) { ready.push_back(event.node); },
        [&](const node_gone& event) { gone.push_back(event); },
    };
  });
  caf::actor last_proxy;
  const auto make_proxy = [&](const caf::actor& supervisor, const process_started& process, std::size_t) {
    last_proxy = system.spawn([supervisor, node = process.node](caf::event_based_actor* self) -> caf::behavior {
      self->link_to(supervisor);
      caf::anon_send(supervisor, node_hello{node, std::vector<std::string>{"slot"}});
      return {[](const process_exited&) {}};
    });
    return last_proxy;
  };
  const auto supervisor = spawn_supervisor(system, {.executable = "child", .nodes = 1}, router, make_proxy);
  caf::anon_send(supervisor, attach_host{std::make_shared<willing_host>(supervisor)});
  caf::anon_send(supervisor, launch_nodes{1});
  coordinator.run();
  ASSERT_EQ(ready, std::vector<node_id>{1});

  caf::anon_send_exit(last_proxy, caf::exit_reason::unhandled_exception);
  coordinator.run();
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].node, 1U);
  EXPECT_EQ(gone[0].cause.code, errc::node_died);

  caf::anon_send(supervisor, launch_nodes{1}); // it goes on
  coordinator.advance_time(std::chrono::minutes{1});
  coordinator.run();
  EXPECT_EQ(ready, (std::vector<node_id>{1, 2}));
  last_proxy = nullptr;
  caf::anon_send_exit(supervisor, caf::exit_reason::user_shutdown);
  coordinator.run();
}

} // namespace

} // namespace cluster_channel
