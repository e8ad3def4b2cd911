// What this bus does on purpose unlike its model: nothing is thrown away silently, and no call waits in vain.

#include <caf/event_based_actor.hpp>

#include "parity.hpp"
#include <optional>
#include <stdexcept>

namespace cluster_channel::parity {

namespace {

using ::testing::StartsWith;

const std::string several = " handlers would answer slot twice, whose call has one response: call all() to get every "
                            "answer";

TEST(ParityCppSeveralHandlers, APlainCallFailsAndRunsNone) {
  const bus_type bus;
  int runs = 0;
  for (int i = 0; i < 3; ++i)
    bus.twice.on([&](int x) { return ++runs + x; });
  EXPECT_EQ(outcome(bus.twice(1)), "several_handlers: 3" + several);
  EXPECT_EQ(runs, 0);
}

TEST(ParityCppSeveralHandlers, OneHereAndOneAtTheFarEndAreTwo) {
  two_ends x;
  x.here.twice.on([](int y) { return y; });
  x.there.twice.on([](int y) { return y; });
  x.run();
  EXPECT_EQ(outcome(x.here.twice(1)), "several_handlers: 2" + several);
}

TEST(ParityCppSeveralHandlers, TwoFarEndsAreTwo) {
  three_ends x;
  x.one.twice.on([](int y) { return y; });
  x.two.twice.on([](int y) { return y; });
  auto call = x.here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "several_handlers: 2" + several);
}

TEST(ParityCppSeveralHandlers, AtOneFarEndAreItsError) {
  two_ends x;
  for (int i = 0; i < 2; ++i)
    x.there.twice.on([](int y) { return y; });
  auto call = x.here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "several_handlers: 2" + several);
}

TEST(ParityCppAll, YieldsEveryAnswerLocalOnesFirstThenTheChannelsInTheirOrder) {
  three_ends x;
  x.two.twice.on([](int y) { return 100 * y; });
  x.one.twice.on([](int y) { return 10 * y; });
  x.here.twice.on([](int y) { return y; });
  x.here.twice.on([](int y) { return y + 1; });
  auto call = x.here.twice.all(3);
  x.run();
  EXPECT_EQ(outcome(call), "{ 3, 4, 30, 300 }");
}

TEST(ParityCppAll, FailsWithTheFirstFailure) {
  const bus_type bus;
  bus.twice.on([](int x) { return x; });
  bus.twice.on([](int) -> int { throw std::runtime_error("no luck"); });
  EXPECT_EQ(outcome(bus.twice.all(1)), "handler_failed: no luck");
}

TEST(ParityCppAll, DoesNotWaitForTheOthersAfterAFailure) {
  const bus_type bus;
  std::optional<promise<int>> open;
  bus.twice.on([&](int, promise<int> done) { open = std::move(done); });
  bus.twice.on([](int) -> int { throw std::runtime_error("no luck"); });
  auto call = bus.twice.all(1);
  auto settled = bus.twice.all_settled(1);
  EXPECT_EQ(outcome(call), "handler_failed: no luck");
  EXPECT_EQ(outcome(settled), "pending");
  open->deliver(7);
  EXPECT_EQ(outcome(settled), "[7, handler_failed: no luck]");
}

TEST(ParityCppAll, WaitsForEveryTransportLikeAPlainCall) {
  three_ends x;
  x.one.twice.on([](int y) { return y; });
  auto call = x.here.twice.all(1);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  x.two.twice.on([](int y) { return 2 * y; });
  x.run();
  EXPECT_EQ(outcome(call), "{ 1, 2 }");
}

TEST(ParityCppAll, WithoutAnyHandlerIsAnErrorNotAnEmptyAnswer) {
  const bus_type bus;
  const std::string why = "no_handler: no handler for slot twice with param $_DEFAULT_$";
  EXPECT_EQ(outcome(bus.twice.all(1)), why);
  EXPECT_EQ(outcome(bus.twice.all_settled(1)), why);
  EXPECT_EQ(outcome(bus.note.all_settled("x")), "no_handler: no handler for slot note with param $_DEFAULT_$");
}

TEST(ParityCppAll, SettledYieldsAnswersAndFailuresSideBySide) {
  three_ends x;
  x.here.twice.on([](int) -> int { throw std::runtime_error("not here"); });
  x.one.twice.on([](int y) { return y; });
  x.two.twice.on([](int) -> int { throw std::runtime_error("not there"); });
  auto call = x.here.twice.all_settled(7);
  x.run();
  EXPECT_EQ(outcome(call), "[handler_failed: not here, 7, handler_failed: not there]");
}

TEST(ParityCppBroadcast, CallsThoseWhoAreThereAndWaitsForNobody) {
  three_ends x;
  x.here.twice.on([](int y) { return y; });
  x.two.twice.on([](int y) { return 2 * y; });
  x.run();
  auto call = x.here.twice.broadcast(1);
  x.run();
  EXPECT_EQ(outcome(call), "[1, 2]");
}

TEST(ParityCppBroadcast, WithNobodyThereIsDoneAtOnceWithoutAnswers) {
  two_ends x{{.connected = false, .reconnects = true}};
  EXPECT_EQ(outcome(x.here.twice.broadcast(1)), "[]");
}

TEST(ParityCppBroadcast, YieldsFailuresToo) {
  three_ends x;
  x.one.note.on([](const std::string&) { throw std::runtime_error("no luck"); });
  x.two.note.on([](const std::string&) {});
  x.run();
  auto call = x.here.note.broadcast("x");
  x.run();
  EXPECT_EQ(outcome(call), "[handler_failed: no luck, done]");
}

TEST(ParityCppBroadcast, ReachesOnlyTheHandlersOfItsParameter) {
  two_ends x;
  x.there.twice.on({"a"}, [](int y) { return y; });
  x.run();
  auto none = x.here.twice.broadcast(1);
  auto one = x.here.twice.broadcast(1, {.param = {"a"}});
  x.run();
  EXPECT_EQ(outcome(none), "[]");
  EXPECT_EQ(outcome(one), "[1]");
}

TEST(ParityCppNoHandler, AtTheFarEndIsSaidAtOnceInsteadOfRunningIntoTheTimeout) {
  two_ends x;
  auto call = x.here.now(1);
  x.run(); // no time passes
  EXPECT_EQ(outcome(call), "no_handler: no handler for slot now with param $_DEFAULT_$");
}

TEST(ParityCppTypes, EndsWhoseTypesDifferSaySoAndEndTheirCalls) {
  wire line;
  line.connected();
  const bus_type bus{line};
  auto waits = bus.twice(1);
  auto theirs = std::get<hello>(line.sent.front());
  for (auto& slot : theirs.slots)
    if (slot.name == "twice")
      slot.signature = "string -> string";
  line.message_received(theirs);
  EXPECT_THAT(outcome(waits), StartsWith("protocol_mismatch: "));
  EXPECT_THAT(outcome(bus.now(1)), StartsWith("protocol_mismatch: "));
}

TEST(ParityCppActors, ASlotIsCalledFromInsideAnActorOverAChannel) {
  two_ends x;
  x.there.twice.on([](int y) { return 2 * y; });
  std::string seen;
  x.system.spawn([&](caf::event_based_actor* self) {
    x.here.twice(4).then(
        self, [&](int& y) { seen = in_words(y); }, [&](caf::error& err) { seen = describe(err); });
  });
  x.run();
  EXPECT_EQ(seen, "8");
}

TEST(ParityCppActors, AnActorHandlesTheCallsOfTheFarEnd) {
  two_ends x;
  const caf::actor worker =
      x.system.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int y) { return 3 * y; }}; });
  x.there.twice.on(worker);
  auto call = x.here.twice(4);
  x.run();
  EXPECT_EQ(outcome(call), "12");
}

} // namespace

} // namespace cluster_channel::parity
