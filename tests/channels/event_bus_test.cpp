// The bus inside one process: no channel, no actor but where a test is about actors.

#include <cluster_channel/channels/event_bus.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_events.hpp"
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

sum_response add(const sum_request& x) {
  return {x.a + x.b};
}

template <class T>
errc code(call<T>&& call) {
  auto result = call.get(0ms);
  return result ? errc::none : code_of(result.error());
}

template <class T>
std::string text(call<T>&& call) {
  auto result = call.get(0ms);
  return result ? std::string{} : failure_of(result.error()).text;
}

// -- calling ------------------------------------------------------------------

TEST(LocalBus, AnswersACallAtOnce) {
  event_bus<test_events> bus;
  bus.add.on(add);
  auto result = bus.add({20, 22}).get(0ms);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->sum, 42);
}

TEST(LocalBus, NamesItsSlotsAfterTheirMembers) {
  const event_bus<test_events> bus;
  EXPECT_EQ(bus.add.name(), "add");
  EXPECT_EQ(bus.sort.name(), "sort");
}

TEST(LocalBus, CallsASlotWithoutRequest) {
  event_bus<test_events> bus;
  bus.count.on([] { return 7; });
  EXPECT_EQ(*bus.count().get(0ms), 7);
}

TEST(LocalBus, CallsASlotWithoutResponse) {
  event_bus<test_events> bus;
  std::vector<std::string> lines;
  bus.log.on([&](const std::string& line) { lines.push_back(line); });
  EXPECT_TRUE(bus.log("one").get(0ms));
  EXPECT_TRUE(bus.log(std::string{"two"}).get(0ms));
  EXPECT_THAT(lines, ElementsAre("one", "two"));
}

TEST(LocalBus, CallsASlotWithoutRequestAndResponse) {
  event_bus<test_events> bus;
  int pings = 0;
  bus.ping.on([&] { ++pings; });
  EXPECT_TRUE(bus.ping().get(0ms));
  EXPECT_EQ(pings, 1);
}

TEST(LocalBus, FailsACallWithoutHandlerAtOnceAndSaysWhere) {
  const event_bus<test_events> bus;
  auto result = bus.add({1, 2}).get(0ms);
  ASSERT_FALSE(result);
  const auto what = failure_of(result.error());
  EXPECT_EQ(what.code, errc::no_handler);
  EXPECT_EQ(what.slot, "add");
  EXPECT_EQ(what.param, default_param);
}

TEST(LocalBus, CallsEveryHandlerOfAnEvent) {
  event_bus<test_events> bus;
  int calls = 0;
  bus.log.on([&](const std::string&) { ++calls; });
  bus.log.on([&](const std::string&) { ++calls; });
  EXPECT_TRUE(bus.log("x").get(0ms));
  EXPECT_EQ(calls, 2);
}

TEST(LocalBus, FailsAnEventWithItsFirstFailureAfterAllHandlersRan) {
  event_bus<test_events> bus;
  bool second_ran = false;
  bus.log.on([](const std::string&) { throw std::runtime_error("first"); });
  bus.log.on([&](const std::string&) {
    second_ran = true;
    throw std::runtime_error("second");
  });
  EXPECT_EQ(text(bus.log("x")), "first");
  EXPECT_TRUE(second_ran);
}

TEST(LocalBus, RefusesSeveralAnswersToOneCall) {
  event_bus<test_events> bus;
  bool ran = false;
  for (int i = 0; i < 2; ++i)
    bus.count.on([&] {
      ran = true;
      return 1;
    });
  EXPECT_EQ(code(bus.count()), errc::several_handlers);
  EXPECT_FALSE(ran);
}

TEST(LocalBus, FailsACallOfACopiedSlotAfterTheBusIsGone) {
  std::optional<event_bus<test_events>> bus{std::in_place};
  bus->count.on([] { return 1; });
  const auto count = bus->count;
  EXPECT_EQ(code(count()), errc::none);
  bus.reset();
  EXPECT_EQ(code(count()), errc::channel_closed);
}

TEST(Slot, SaysThatItNeedsABus) {
  const test_events events;
  EXPECT_THROW(static_cast<void>(events.count()), std::logic_error);
}

// -- handlers -----------------------------------------------------------------

TEST(Handler, MayThrow) {
  event_bus<test_events> bus;
  bus.add.on([](const sum_request&) -> sum_response { throw std::runtime_error("no sum today"); });
  auto result = bus.add({1, 2}).get(0ms);
  ASSERT_FALSE(result);
  const auto what = failure_of(result.error());
  EXPECT_EQ(what.code, errc::handler_failed);
  EXPECT_EQ(what.text, "no sum today");
  EXPECT_EQ(what.slot, "add");
}

TEST(Handler, MayThrowSomethingThatIsNoException) {
  event_bus<test_events> bus;
  bus.ping.on([] { throw 7; });
  EXPECT_EQ(code(bus.ping()), errc::handler_failed);
}

TEST(Handler, MayAnswerWithAnExpectedValueOrError) {
  event_bus<test_events> bus;
  bus.add.on([](const sum_request& x) -> caf::expected<sum_response> {
    if (x.a < 0)
      return caf::make_error(caf::sec::runtime_error, "negative");
    return sum_response{x.a + x.b};
  });
  EXPECT_EQ(bus.add({1, 2}).get(0ms)->sum, 3);
  EXPECT_EQ(text(bus.add({-1, 2})), "negative");
}

TEST(Handler, MayReturnWhatConvertsToTheResponse) {
  event_bus<test_events> bus;
  bus.echo.on([](const std::string&) { return "text"; });
  EXPECT_EQ(*bus.echo("x").get(0ms), "text");
}

TEST(Handler, MayAnswerLaterFromAnotherThread) {
  event_bus<test_events> bus;
  std::jthread worker;
  bus.add.on([&](const sum_request& x, promise<sum_response> answer) {
    worker = std::jthread{[x, answer] { answer.deliver(sum_response{x.a + x.b}); }};
  });
  EXPECT_EQ(bus.add({1, 2}).get(10s)->sum, 3);
}

TEST(Handler, MayFailLater) {
  event_bus<test_events> bus;
  std::optional<promise<int>> owed;
  bus.count.on([&](promise<int> answer) { owed = answer; });
  auto call = bus.count();
  EXPECT_THAT(text(bus.count()), HasSubstr("deadline given to get")) << "nobody answered yet";
  owed->fail("too late");
  owed.reset();
  EXPECT_EQ(text(std::move(call)), "the handler dropped its promise without answering")
      << "replaced by the second call";
}

TEST(Handler, AnswersOnceHoweverOftenItDelivers) {
  event_bus<test_events> bus;
  bus.count.on([](promise<int> answer) {
    answer.deliver(1);
    answer.deliver(2);
    answer.fail("three");
  });
  EXPECT_EQ(*bus.count().get(0ms), 1);
}

TEST(Handler, FailsTheCallIfItDropsItsPromise) {
  event_bus<test_events> bus;
  bus.ping.on([](const promise<void>&) {});
  EXPECT_EQ(code(bus.ping()), errc::broken_promise);
}

TEST(Handler, MayThrowBeforeItAnswersLater) {
  event_bus<test_events> bus;
  bus.count.on([](const promise<int>&) { throw std::runtime_error("at once"); });
  EXPECT_EQ(text(bus.count()), "at once");
}

// -- parameters and subscriptions ---------------------------------------------

TEST(Parameter, SelectsItsHandler) {
  event_bus<test_events> bus;
  bus.count.on(parameter{"a"}, [] { return 1; });
  bus.count.on(parameter{"b"}, [] { return 2; });
  EXPECT_EQ(*bus.count({.param = {"a"}}).get(0ms), 1);
  EXPECT_EQ(*bus.count({.param = {"b"}}).get(0ms), 2);
  EXPECT_EQ(code(bus.count()), errc::no_handler);
}

TEST(Unsubscribe, RemovesExactlyItsHandler) {
  event_bus<test_events> bus;
  std::vector<std::string> seen;
  auto off = bus.log.on([&](const std::string& x) { seen.push_back("first " + x); });
  bus.log.on([&](const std::string& x) { seen.push_back("second " + x); });
  off();
  off();
  EXPECT_TRUE(bus.log("x").get(0ms));
  EXPECT_THAT(seen, ElementsAre("second x"));
}

TEST(Unsubscribe, OfTheLastHandlerLeavesNone) {
  event_bus<test_events> bus;
  auto off = bus.ping.on([] {});
  off();
  EXPECT_EQ(code(bus.ping()), errc::no_handler);
}

TEST(Unsubscribe, MayOutliveTheBus) {
  unsubscribe off;
  {
    event_bus<test_events> bus;
    off = bus.ping.on([] {});
  }
  EXPECT_NO_THROW(off());
}

TEST(Unsubscribe, MayBeCalledByTheHandlerItself) {
  event_bus<test_events> bus;
  unsubscribe off;
  int calls = 0;
  off = bus.ping.on([&] {
    ++calls;
    off();
  });
  EXPECT_EQ(code(bus.ping()), errc::none);
  EXPECT_EQ(code(bus.ping()), errc::no_handler);
  EXPECT_EQ(calls, 1);
}

// -- results ------------------------------------------------------------------

TEST(Call, GivesItsResultToAContinuationWhereverItEnds) {
  event_bus<test_events> bus;
  std::optional<promise<int>> owed;
  bus.count.on([&](promise<int> answer) { owed = answer; });
  int seen = 0;
  bus.count().on_result([&](caf::expected<int> x) { seen = *x; });
  EXPECT_EQ(seen, 0);
  owed->deliver(5);
  EXPECT_EQ(seen, 5);
  bus.count().on_result([&](caf::expected<int> x) { seen = *x; });
  owed->deliver(6);
  EXPECT_EQ(seen, 6);
}

TEST(Call, MayBeWaitedForAgainAfterADeadline) {
  event_bus<test_events> bus;
  std::optional<promise<int>> owed;
  bus.count.on([&](promise<int> answer) { owed = answer; });
  auto call = bus.count();
  auto early = call.get(1ms);
  ASSERT_FALSE(early);
  EXPECT_EQ(code_of(early.error()), errc::timed_out);
  owed->deliver(5);
  EXPECT_EQ(*call.get(0ms), 5);
}

TEST(Call, MayBeDroppedWhileItRuns) {
  event_bus<test_events> bus;
  std::optional<promise<int>> owed;
  bus.count.on([&](promise<int> answer) { owed = answer; });
  static_cast<void>(bus.count());
  ASSERT_TRUE(owed) << "the handler ran";
  EXPECT_NO_THROW(owed->deliver(5));
}

TEST(LocalBus, SettledCallsAndBroadcastsOfSlotsWithAResponseYieldEachAnswer) {
  event_bus<test_events> bus;
  bus.count.on([] { return 5; });
  bus.count.on([]() -> int { throw std::runtime_error{"no"}; });
  for (auto call : {bus.count.all_settled(), bus.count.broadcast()}) {
    const auto each = call.get(0s);
    ASSERT_EQ(each->size(), 2u);
    EXPECT_EQ(each->at(0), 5);
    EXPECT_EQ(code_of(each->at(1).error()), errc::handler_failed);
  }
}

TEST(Bus, MayBeUsedFromManyThreadsAtOnce) {
  event_bus<test_events> bus;
  bus.add.on(add);
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        auto off = bus.log.on([](const std::string&) {});
        auto result = bus.add({t, i}).get(10s);
        if (!result || result->sum != t + i || !bus.log("x").get(10s))
          ++wrong;
        off();
      }
    });
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

} // namespace

} // namespace cluster_channel
