// How many nodes start at a time, and how starts that fail on the way are counted: in virtual time.

#include <cluster_channel/actors/supervisor.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../channels/test_events.hpp"
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

using test_pool = test::pool<test_events>;

TEST(Launches, AreUnderWayAtATimeAsManyAsTheMachineCanStart) {
  test_pool pool{{.nodes = 10, .min_nodes = 10, .launches_max = 3}};
  pool.script_all({.hello_after = 1s});
  pool.run();
  EXPECT_EQ(pool.launches(), 3U);
  EXPECT_EQ(pool.stats().launching_nodes, 10U);
  pool.advance(1s);
  EXPECT_EQ(pool.launches(), 6U);
  EXPECT_EQ(pool.stats().ready_nodes, 3U);
  pool.advance(3s);
  EXPECT_EQ(pool.stats().ready_nodes, 10U);
}

TEST(Launches, ThatFailMakeRoomForOthers) {
  test_pool pool{{.nodes = 4, .min_nodes = 4, .launches_max = 1, .backoff = {.initial = 100ms}}};
  pool.script(1, {.exits_before_hello = exit_status{false, 1}});
  test::node_script unlaunched;
  unlaunched.launch_error = make_error(errc::launch_failed, "no memory");
  unlaunched.launch_error_is_permanent = false;
  pool.script(2, unlaunched);
  pool.advance(10s);
  EXPECT_EQ(pool.stats().ready_nodes, 4U);
  EXPECT_EQ(pool.launches(), 6U);
}

TEST(Launches, OfOneProgramDoNotHoldUpThoseOfAnother) {
  test_pool pool{
      {.more_programs = {{.executable = "other", .nodes = 3}}, .nodes = 3, .min_nodes = 6, .launches_max = 1}};
  for (node_id node = 1; node <= 12; ++node)
    pool.script(node, {.hello_after = node == 1 ? 1h : 1s});
  pool.advance(10s);
  EXPECT_EQ(pool.stats().ready_nodes, 3U) << "all of the program that starts";
  EXPECT_EQ(pool.launches(), 4U);
}

/// Every process starts at once, with a descriptor as its link, and signals kill it.
class willing_host final : public process_host {
public:
  explicit willing_host(caf::actor supervisor) : supervisor_{std::move(supervisor)} {}

  void launch(node_id node, std::size_t) override {
    links.push_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
    caf::anon_send(supervisor_, process_started{node, 4711, links.back()});
  }
  void signal(node_id node, int signo) override {
    signals.push_back(signo);
    caf::anon_send(supervisor_, process_exited{node, {true, signo}});
  }

  std::vector<int> links;
  std::vector<int> signals;

private:
  caf::actor supervisor_;
};

TEST(Launches, WhoseProxyCannotBeMadeAreFailedStarts) {
  test::system_config config;
  caf::actor_system system{config};
  auto& coordinator = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  std::vector<launches_gave_up> given_up;
  const auto router = system.spawn([&](caf::event_based_actor*) -> caf::behavior {
    return {
        [](const attach_supervisor&) {},
        [&](const launches_gave_up& event) { given_up.push_back(event); },
    };
  });
  const auto make_proxy = [&](const caf::actor&, const process_started&, std::size_t) -> caf::actor {
    throw std::runtime_error{"no room for a proxy"};
  };
  const auto supervisor =
      spawn_supervisor(system, {.executable = "child", .nodes = 2, .backoff = {.failures_max = 2}}, router, make_proxy);
  const auto host = std::make_shared<willing_host>(supervisor);
  caf::anon_send(supervisor, attach_host{host});
  caf::anon_send(supervisor, launch_nodes{2});
  coordinator.run();
  coordinator.advance_time(1min);
  coordinator.run();
  std::size_t count = 0;
  for (const auto& event : given_up) {
    count += event.count;
    EXPECT_THAT(event.cause.text, HasSubstr("no room for a proxy"));
  }
  EXPECT_EQ(count, 2U) << "every launch that was asked for has ended";
  EXPECT_EQ(host->signals, std::vector<int>(host->links.size(), SIGKILL));
  for (const auto link : host->links)
    EXPECT_LT(::fcntl(link, F_GETFD), 0) << "the link is closed";
  caf::anon_send_exit(supervisor, caf::exit_reason::user_shutdown);
  coordinator.run();
}

} // namespace

} // namespace cluster_channel
