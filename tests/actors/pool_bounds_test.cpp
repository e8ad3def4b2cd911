// What a router keeps of calls that wait, held ones too, and how it watches their time limits: in virtual time.

#include <cluster_channel/tests/test_kit.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../channels/test_events.hpp"
#include <chrono>
#include <ctime>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

using test_pool = test::pool<test_events>;

template <class Response>
failure failed(call<Response>& call) {
  auto result = call.get(0ms);
  EXPECT_FALSE(result);
  return result ? failure{} : failure_of(result.error());
}

TEST(PoolBounds, RefusesACallOnTheCallersThreadWhenTooManyAreOnTheirWay) {
  test_pool pool{{.buffer_calls_max = 2}};
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 4; ++i)
    calls.push_back(pool.bus().echo("x"));
  // Nothing has run yet: two may wait and one node may take one more.
  const auto what = failed(calls.back());
  EXPECT_EQ(what.code, errc::buffer_full);
  EXPECT_THAT(what.text, HasSubstr("buffer_calls_max"));
}

TEST(PoolBounds, RefusesBroadcastsToABusyNodeBeyondTheBytesOfTheBuffer) {
  test_pool pool{{.buffer_bytes_max = 10'000}};
  pool.script_all({.answers_after = 1h});
  pool.child().echo.on([](const std::string& text) { return text; });
  auto first = pool.bus().echo("launches the node");
  pool.run();
  std::size_t refused = 0;
  std::vector<call<answers<std::string>>> broadcasts;
  for (int i = 0; i < 100; ++i) {
    broadcasts.push_back(pool.bus().echo.broadcast(std::string(1'000, 'x')));
    pool.run();
  }
  for (auto& each : broadcasts) {
    const auto all = each.get(0ms);
    refused += all && !all->empty() && code_of(all->front().error()) == errc::buffer_full ? 1 : 0;
  }
  EXPECT_GE(refused, 90U);
  EXPECT_LT(refused, 100U) << "some fit";
}

TEST(PoolBounds, ABroadcastIsTakenAgainWhenThoseBeforeItHaveEnded) {
  test_pool pool{{.buffer_bytes_max = 2'000}};
  pool.child().echo.on([](const std::string& text) { return text; });
  auto first = pool.bus().echo("launches the node");
  pool.run();
  for (int i = 0; i < 10; ++i) {
    auto all = pool.bus().echo.broadcast(std::string(1'500, 'x'));
    pool.run();
    const auto answers = all.get(0ms);
    ASSERT_TRUE(answers && answers->size() == 1);
    EXPECT_TRUE(answers->front());
  }
}

TEST(PoolBounds, ACallDoesNotOvertakeABroadcast) {
  test_pool pool;
  std::vector<std::string> handled;
  pool.child().echo.on([&](const std::string& text) {
    handled.push_back(text);
    return text;
  });
  auto first = pool.bus().echo("launch");
  pool.run();
  auto before = pool.bus().echo("before");
  auto all = pool.bus().echo.broadcast("broadcast");
  auto after = pool.bus().echo("after");
  pool.run();
  EXPECT_THAT(handled, ::testing::ElementsAre("launch", "before", "broadcast", "after"));
}

TEST(PoolBounds, EndsEveryCallOfABurstAtItsTimeout) {
  test_pool pool{{.timeout = 5s}};
  pool.script_all({.answers_after = 1h});
  pool.child().echo.on([](const std::string& text) { return text; });
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 20'000; ++i)
    calls.push_back(pool.bus().echo("x"));
  pool.advance(5s);
  for (auto& each : calls)
    ASSERT_EQ(failed(each).code, errc::timed_out);
  EXPECT_EQ(pool.stats().waiting_calls, 0U);
}

TEST(PoolBounds, EndsCallsWithDistinctDeadlinesEachAtItsOwn) {
  test_pool pool;
  pool.script_all({.answers_after = 1h});
  pool.child().echo.on([](const std::string& text) { return text; });
  std::vector<call<std::string>> calls;
  constexpr int count = 2'000;
  for (int i = 0; i < count; ++i) // later ones end earlier
    calls.push_back(pool.bus().echo("x", {.timeout = std::chrono::milliseconds{count - i}}));
  pool.advance(1s);
  std::size_t ended = 0;
  for (auto& each : calls) {
    const auto result = each.get(0ms);
    ended += !result && failure_of(result.error()).text.find("TIMED_OUT") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(ended, 1'000U);
}

TEST(PoolBounds, ARunTimeoutThatEndsBeforeTheOtherLimitsIsSeen) {
  test_pool pool{{.timeout = 1h}};
  pool.script_all({.answers_after = 2h});
  pool.child().echo.on([](const std::string& text) { return text; });
  auto call = pool.bus().echo("x", {.wait_timeout = 30min, .run_timeout = 1s});
  pool.advance(1s);
  EXPECT_EQ(failed(call).code, errc::timed_out);
}

TEST(PoolBounds, ACallThatWaitedDoesNotEndAtItsWaitTimeoutWhileItRuns) {
  test_pool pool{{.timeout = 1h}};
  pool.script_all({.answers_after = 10s});
  pool.child().echo.on([](const std::string& text) { return text; });
  auto call = pool.bus().echo("x", {.wait_timeout = 5s});
  pool.advance(11s);
  EXPECT_TRUE(call.get(0ms));
}

TEST(PoolBounds, ACallThatRanOutOfTimeWhileItsNodeWasStartingSaysSo) {
  test_pool pool{{.timeout = 5s}};
  pool.script_all({.hello_after = 1h});
  auto call = pool.bus().echo("x");
  pool.advance(5s);
  EXPECT_THAT(failed(call).text, HasSubstr("no node was ready, 1 are still starting"));
}

TEST(PoolBounds, AHeldCallThatRanOutOfTimeIsForgotten) {
  test_pool pool{{.buffer_calls_max = 100, .timeout = 1s}};
  auto launches = pool.bus().echo("x"); // no handler is registered for it
  for (int round = 0; round < 20; ++round) {
    std::vector<call<std::string>> calls;
    for (int i = 0; i < 90; ++i)
      calls.push_back(pool.bus().echo("x"));
    pool.advance(1s);
    for (auto& each : calls)
      ASSERT_EQ(failed(each).code, errc::timed_out);
    ASSERT_EQ(pool.stats().waiting_calls, 0U);
  }
}

/// CPU time of this thread so far: what else the machine does takes none of it.
std::chrono::nanoseconds cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// Time in which a node registers handlers for `count` parameters, each of which a call waits for.
std::chrono::nanoseconds time_to_release(std::size_t count) {
  test_pool pool;
  pool.script_all({.answers_after = 1h});
  pool.child().echo.on({"launch"}, [](const std::string& text) { return text; });
  auto launch = pool.bus().echo("x", {.param = {"launch"}});
  pool.run();
  std::vector<call<std::string>> calls;
  for (std::size_t i = 0; i < count; ++i)
    calls.push_back(pool.bus().echo("x", {.param = {std::to_string(i)}}));
  pool.run();
  for (std::size_t i = 0; i < count; ++i)
    caf::anon_send(pool.router(), node_announcement{1, handler_registered{"echo", std::to_string(i)}});
  const auto start = cpu_time();
  pool.run();
  return cpu_time() - start;
}

TEST(PoolBounds, ReleasingHeldCallsTakesTimeInProportionToTheirNumber) {
  constexpr std::size_t count = 250;
  auto few = std::chrono::nanoseconds::max();
  auto many = few;
  for (int round = 0; round < 3; ++round) {
    few = std::min(few, time_to_release(count));
    many = std::min(many, time_to_release(16 * count));
  }
  EXPECT_LT(many / few, 100) << "16 in proportion, 256 if each registration looked at each call";
}

TEST(PoolBounds, OnlyWhatTheReplacementOfTheLastNodeDeclaresCounts) {
  test_pool pool{{.timeout = 1s}};
  pool.child().echo.on([](const std::string& text) { return text; });
  const auto node = [&](node_id id, std::vector<std::string> slots) {
    caf::anon_send(pool.router(), node_ready{id, 1, {}, std::move(slots)});
    pool.run();
  };
  const auto gone = [&](node_id id) {
    caf::anon_send(pool.router(), node_gone{.node = id, .cause = {.code = errc::node_died, .text = "gone"}});
    pool.run();
  };
  node(101, {"echo", "old"});
  gone(101);
  node(102, {"echo"});
  // A slot that is declared is held until a handler is registered; one that is not goes to a node, to be refused.
  EXPECT_EQ(pool.stats().idle_nodes, 1U);
  caf::anon_send(pool.router(), slot_request{"old"});
  pool.run();
  EXPECT_EQ(pool.stats().running_calls, 1U) << "'old' is not declared any more";
}

} // namespace

} // namespace cluster_channel
