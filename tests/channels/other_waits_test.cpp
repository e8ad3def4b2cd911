// A call as an awaitable of C++, a future, and with Asio.

#include <cluster_channel/channels/asio.hpp>
#include <cluster_channel/channels/coroutine.hpp>
#include <cluster_channel/channels/future.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_events.hpp"

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

struct echo_bus {
  echo_bus() {
    bus.echo.on([this](const std::string& text) {
      if (text == fails)
        throw std::runtime_error("no");
      return text;
    });
  }
  std::string fails;
  event_bus<test_events> bus;
};

struct echo_nodes {
  echo_nodes() {
    pool.script_all({.answers_after = 10ms});
    pool.child().echo.on([](const std::string& text) { return text; });
  }
  test::pool<test_events> pool;
};

/// A coroutine that starts at once and is waited for by nobody.
struct fire_and_forget {
  struct promise_type {
    fire_and_forget get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

fire_and_forget await_echo(event_bus<test_events>& bus, std::string text, std::vector<std::string>& got) {
  auto first = co_await bus.echo(text + "1");
  got.push_back(first ? *first : describe(first.error()));
  auto second = co_await bus.echo(text + "2");
  got.push_back(second ? *second : describe(second.error()));
}

TEST(Coroutine, GoesOnWithAnAnswerThatIsThereAtOnce) {
  echo_bus local;
  std::vector<std::string> got;
  await_echo(local.bus, "x", got);
  EXPECT_THAT(got, ElementsAre("x1", "x2"));
}

TEST(Coroutine, GoesOnWhenTheAnswerOfAPoolComes) {
  echo_nodes x;
  std::vector<std::string> got;
  await_echo(x.pool.bus(), "x", got);
  EXPECT_TRUE(got.empty());
  x.pool.advance(1s);
  EXPECT_THAT(got, ElementsAre("x1", "x2"));
}

TEST(Future, HasTheAnswerOrTheError) {
  echo_bus local;
  EXPECT_EQ(*as_future(local.bus.echo("x")).get(), "x");
  local.fails = "y";
  EXPECT_EQ(code_of(as_future(local.bus.echo("y")).get().error()), errc::handler_failed);
}

TEST(AsioToken, CompletesACoroutineOfAsioOnItsContext) {
  echo_bus local;
  boost::asio::io_context context;
  std::string got;
  boost::asio::co_spawn(
      context,
      [&]() -> boost::asio::awaitable<void> {
        auto x = co_await async_get(local.bus.echo("x"), boost::asio::use_awaitable);
        got = *x;
      },
      boost::asio::detached);
  EXPECT_EQ(got, "") << "nothing runs outside of the context";
  context.run();
  EXPECT_EQ(got, "x");
}

TEST(AsioToken, KeepsTheContextBusyUntilTheAnswerComes) {
  echo_nodes x;
  boost::asio::io_context context;
  std::string got;
  async_get(x.pool.bus().echo("x"),
            boost::asio::bind_executor(context.get_executor(), [&](caf::expected<std::string> y) { got = *y; }));
  EXPECT_EQ(context.poll(), 0U);
  EXPECT_FALSE(context.stopped());
  x.pool.advance(1s);
  context.run();
  EXPECT_EQ(got, "x");
}

} // namespace

} // namespace cluster_channel
