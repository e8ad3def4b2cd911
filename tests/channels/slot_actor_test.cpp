// Slots as typed actors: of every kind of payload, with a parameter and limits.
#include <cluster_channel/tests/test_kit.hpp>

#include <gtest/gtest.h>

#include "test_events.hpp"
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;

struct spot {
  int x = 0;
  std::optional<int> y;
  friend bool operator==(const spot&, const spot&) = default;
};
BOOST_DESCRIBE_STRUCT(spot, (), (x, y))

template <class T>
struct echo_events {
  slot<T, T> echo;
};
BOOST_DESCRIBE_STRUCT(echo_events<std::vector<spot>>, (), (echo))
BOOST_DESCRIBE_STRUCT(echo_events<std::optional<spot>>, (), (echo))
using spot_or_text = std::variant<std::string, spot, std::vector<std::optional<spot>>>;
BOOST_DESCRIBE_STRUCT(echo_events<spot_or_text>, (), (echo))
using map_of_spots = std::map<std::string, std::pair<spot, std::optional<spot_or_text>>>;
BOOST_DESCRIBE_STRUCT(echo_events<map_of_spots>, (), (echo))

template <class T>
void expect_echo(const T& value) {
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("testing"));
  caf::actor_system system{config};
  event_bus<echo_events<T>> bus;
  bus.echo.on([](const T& x) { return x; });
  const auto handle = bus.echo.as_actor(system);
  std::optional<T> answer;
  system.spawn([&](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, value).then([&](const T& x) { answer = x; });
  });
  dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler()).run();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(*answer == value);
}

TEST(SlotActor, TakesContainersOptionalsAndVariantsOfDescribedStructs) {
  expect_echo(std::vector<spot>{{1, 2}, {3, std::nullopt}});
  expect_echo(std::optional<spot>{});
  expect_echo(std::optional<spot>{{1, 2}});
  expect_echo(spot_or_text{std::vector<std::optional<spot>>{spot{4, 5}, std::nullopt}});
  expect_echo(map_of_spots{{"a", {spot{1, 2}, spot_or_text{"text"}}}, {"b", {}}});
}

TEST(SlotActor, CallsWithItsParameter) {
  test::pool<test_events> pool;
  pool.child().echo.on({"loud"}, [](const std::string& x) { return x + "!"; });
  const auto handle = pool.bus().echo.as_actor(pool.system(), {.param = {"loud"}});
  std::string answer;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, std::string{"hello"}).then([&](const std::string& x) { answer = x; });
  });
  pool.run();
  EXPECT_EQ(answer, "hello!");
}

TEST(SlotActor, CallsEndWithItsTimeoutAndLeaveThePool) {
  test::pool<test_events> pool{{.timeout = no_timeout}};
  pool.script_all({.answers_after = 1h});
  pool.child().echo.on([](const std::string& x) { return x; });
  const auto handle = pool.bus().echo.as_actor(pool.system(), {.timeout = 1s});
  caf::error error;
  pool.system().spawn([&](caf::event_based_actor* self) {
    for (int i = 0; i < 2; ++i) // one runs, one waits
      self->request(handle, 1s, std::string{"hello"})
          .then([](const std::string&) { FAIL() << "too late"; }, [&](caf::error& err) { error = err; });
  });
  pool.run();
  EXPECT_EQ(pool.stats().waiting_calls, 1u);
  pool.advance(1s);
  EXPECT_EQ(code_of(error), errc::timed_out);
  EXPECT_EQ(pool.stats().waiting_calls, 0u);
}

} // namespace

} // namespace cluster_channel
