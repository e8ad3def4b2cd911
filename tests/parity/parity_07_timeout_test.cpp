// 7. Timeouts of a channel, a slot and a call, from the moment the request was handed to the channel.

#include "parity.hpp"
#include <optional>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string timed_out = "timed_out: TIMED_OUT on ";

/// A far end that answers when the test says so.
class silent_end : public two_ends {
public:
  explicit silent_end(local_channel_options how = {}) : two_ends{how} {
    const auto keep = [this](int, promise<int> done) { open.push_back(std::move(done)); };
    there.twice.on(keep);
    there.twice.on({"p"}, keep);
    there.quick.on(keep);
    run();
  }

  std::vector<promise<int>> open;
};

TEST(Parity07Timeout, IsFiveSecondsAndSaysSlotAndParameter) {
  silent_end x;
  auto call = x.here.twice(1, {.param = {"p"}});
  x.advance(4999ms);
  EXPECT_EQ(outcome(call), "pending");
  x.advance(1ms);
  EXPECT_EQ(outcome(call), timed_out + "twice with param p");
}

TEST(Parity07Timeout, NamesTheDefaultParameter) {
  silent_end x;
  auto call = x.here.twice(1);
  x.advance(5s);
  EXPECT_EQ(outcome(call), "timed_out: TIMED_OUT on twice with param $_DEFAULT_$");
}

TEST(Parity07Timeout, ALateAnswerIsDropped) {
  silent_end x;
  auto late = x.here.twice(1);
  x.advance(5s);
  auto next = x.here.twice(2);
  x.run();
  ASSERT_EQ(x.open.size(), 2U);
  x.open[0].deliver(10);
  x.run();
  EXPECT_EQ(outcome(late), timed_out + "twice with param $_DEFAULT_$");
  EXPECT_EQ(outcome(next), "pending") << "a late answer was taken for that of another call";
  x.open[1].deliver(20);
  x.run();
  EXPECT_EQ(outcome(next), "20");
}

TEST(Parity07Timeout, RunsFromTheHandOverToTheChannelNotFromTheCall) {
  two_ends x;
  auto call = x.here.twice(1);
  x.advance(60s); // waits for a handler
  std::vector<promise<int>> open;
  x.there.twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  x.advance(4999ms);
  EXPECT_EQ(outcome(call), "pending");
  x.advance(1ms);
  EXPECT_EQ(outcome(call), timed_out + "twice with param $_DEFAULT_$");
}

TEST(Parity07Timeout, CanBeSetForTheChannel) {
  silent_end x{{.timeout = 20ms}};
  auto call = x.here.twice(1);
  x.advance(19ms);
  EXPECT_EQ(outcome(call), "pending");
  x.advance(1ms);
  EXPECT_EQ(outcome(call), timed_out + "twice with param $_DEFAULT_$");
}

TEST(Parity07Timeout, OfTheSlotOutweighsTheChannels) {
  silent_end shorter{{.timeout = no_timeout}};
  silent_end longer{{.timeout = 1ms}};
  auto first = shorter.here.quick(1);
  auto second = longer.here.quick(1);
  shorter.advance(100ms);
  longer.advance(99ms);
  EXPECT_EQ(outcome(first), timed_out + "quick with param $_DEFAULT_$");
  EXPECT_EQ(outcome(second), "pending");
  longer.advance(1ms);
  EXPECT_EQ(outcome(second), timed_out + "quick with param $_DEFAULT_$");
}

TEST(Parity07Timeout, OfTheCallOutweighsTheSlots) {
  silent_end x;
  auto shorter = x.here.quick(1, {.timeout = 10ms});
  auto longer = x.here.quick(1, {.timeout = 200ms});
  x.advance(10ms);
  EXPECT_EQ(outcome(shorter), timed_out + "quick with param $_DEFAULT_$");
  x.advance(189ms);
  EXPECT_EQ(outcome(longer), "pending");
  x.advance(1ms);
  EXPECT_EQ(outcome(longer), timed_out + "quick with param $_DEFAULT_$");
}

TEST(Parity07Timeout, MayBeInfinite) {
  silent_end x;
  auto call = x.here.quick(1, {.timeout = no_timeout});
  x.advance(30s);
  EXPECT_EQ(outcome(call), "pending");
  x.open.at(0).deliver(3);
  x.run();
  EXPECT_EQ(outcome(call), "3");
}

TEST(Parity07Timeout, OfEachChannelHoldsForItsOwnPartOfACall) {
  virtual_time x;
  local_channel_pair fast{x.system, {.timeout = 10ms}};
  local_channel_pair slow{x.system, {.timeout = 1s}};
  const bus_type here{x.options({&fast.first(), &slow.first()})};
  const bus_type one{x.options({&fast.second()})};
  const bus_type two{x.options({&slow.second()})};
  std::vector<promise<int>> open;
  for (const auto* bus : {&one, &two})
    bus->twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  x.run();
  auto all = here.twice.all_settled(1);
  x.advance(10ms);
  EXPECT_EQ(outcome(all), "pending");
  open.at(1).deliver(2);
  x.run();
  EXPECT_EQ(outcome(all), "[timed_out: TIMED_OUT on twice with param $_DEFAULT_$, 2]");
}

TEST(Parity07Timeout, LocalHandlersHaveNoneButTheCallsOwn) {
  virtual_time x;
  const bus_type bus{x.options({})};
  std::vector<promise<int>> open;
  bus.twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  auto unlimited = bus.twice(1);
  auto limited = bus.twice(1, {.timeout = 10ms});
  x.advance(60s);
  EXPECT_EQ(outcome(unlimited), "pending");
  EXPECT_EQ(outcome(limited), timed_out + "twice with param $_DEFAULT_$");
  open.at(1).deliver(5); // too late
  open.at(0).deliver(6);
  EXPECT_EQ(outcome(unlimited), "6");
}

TEST(Parity07Timeout, OfASlotLimitsABroadcastToo) {
  silent_end x;
  auto all = x.here.quick.broadcast(1);
  x.advance(100ms);
  EXPECT_EQ(outcome(all), "[timed_out: TIMED_OUT on quick with param $_DEFAULT_$]");
}

TEST(Parity07Timeout, OfRunningIsLimitedSeparatelyFromWaiting) {
  silent_end x;
  auto call = x.here.twice(1, {.run_timeout = 30ms});
  x.advance(30ms);
  EXPECT_EQ(outcome(call), timed_out + "twice with param $_DEFAULT_$");
}

TEST(Parity07Timeout, AnAnsweredCallIsNotTimedOutLater) {
  silent_end x;
  auto call = x.here.quick(1);
  x.run();
  x.open.at(0).deliver(1);
  x.advance(1s);
  EXPECT_EQ(outcome(call), "1");
}

// -- in a pool ----------------------------------------------------------------

class pool_of_one : public test::pool<events> {
public:
  explicit pool_of_one(pool_options options = {}) : test::pool<events>{std::move(options)} {
    child().twice.on([this](int, promise<int> done) { open.push_back(std::move(done)); });
  }

  std::vector<promise<int>> open;
};

TEST(Parity07TimeoutOfAPool, WaitingForANodeAndRunningOnItAreLimitedSeparately) {
  pool_of_one x{{.timeout = no_timeout, .wait_timeout = 1s, .run_timeout = 3s}};
  auto runs = x.bus().twice(1);
  x.run();
  auto waits = x.bus().twice(2);
  x.advance(1s);
  EXPECT_EQ(outcome(waits), timed_out + "twice with param $_DEFAULT_$");
  EXPECT_EQ(outcome(runs), "pending");
  x.advance(2s);
  EXPECT_EQ(outcome(runs), timed_out + "twice with param $_DEFAULT_$");
}

TEST(Parity07TimeoutOfAPool, OfTheCallIncludesTheWaitForANode) {
  pool_of_one x;
  static_cast<void>(x.bus().twice(1, {.timeout = no_timeout}));
  auto waits = x.bus().twice(2);
  x.advance(5s);
  EXPECT_EQ(outcome(waits), timed_out + "twice with param $_DEFAULT_$");
}

TEST(Parity07TimeoutOfAPool, ALateAnswerIsDroppedAndFreesTheNode) {
  pool_of_one x;
  auto late = x.bus().twice(1, {.timeout = 1s});
  auto next = x.bus().twice(2, {.timeout = no_timeout});
  x.advance(1s);
  EXPECT_EQ(outcome(late), timed_out + "twice with param $_DEFAULT_$");
  EXPECT_EQ(x.open.size(), 1U);
  x.open.at(0).deliver(10);
  x.run();
  ASSERT_EQ(x.open.size(), 2U) << "the node was not free after its late answer";
  EXPECT_EQ(outcome(next), "pending");
  x.open.at(1).deliver(20);
  x.run();
  EXPECT_EQ(outcome(next), "20");
}

} // namespace

} // namespace cluster_channel::parity
