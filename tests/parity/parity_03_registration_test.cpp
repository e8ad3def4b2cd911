// 3. Registration: the first handler of a slot and parameter is announced to every channel, and the last one's end.
// 4. Unsubscribing removes exactly that handler.

#include "parity.hpp"
#include <thread>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

void ignore(const std::string&) {
  // nop
}

/// A bus at a wire that is up.
struct wired {
  explicit wired(std::vector<std::string> ignored = {})
      : bus{{.channels = {&line}, .ignored_events = std::move(ignored)}} {
    line.connected();
  }
  wire line;
  bus_type bus;
};

TEST(Parity03Registration, ABusWithoutHandlersSaysHelloAndNothingElse) {
  wired x;
  EXPECT_THAT(x.line.said(), ElementsAre("hello"));
}

TEST(Parity03Registration, OnlyTheFirstHandlerIsAnnounced) {
  wired x;
  x.line.said();
  x.bus.note.on(ignore);
  EXPECT_THAT(x.line.said(), ElementsAre("registered note"));
  x.bus.note.on(ignore);
  EXPECT_THAT(x.line.said(), IsEmpty());
}

TEST(Parity03Registration, EachParameterIsAnnounced) {
  wired x;
  x.line.said();
  x.bus.note.on({"a"}, ignore);
  x.bus.note.on({"b"}, ignore);
  x.bus.note.on(ignore);
  EXPECT_THAT(x.line.said(), ElementsAre("registered note a", "registered note b", "registered note"));
}

TEST(Parity03Registration, OnlyTheEndOfTheLastHandlerIsAnnounced) {
  wired x;
  const auto first = x.bus.note.on(ignore);
  const auto second = x.bus.note.on(ignore);
  x.line.said();
  first();
  EXPECT_THAT(x.line.said(), IsEmpty());
  second();
  EXPECT_THAT(x.line.said(), ElementsAre("unregistered note"));
}

TEST(Parity03Registration, AHandlerThatComesBackIsAnnouncedAgain) {
  wired x;
  x.bus.note.on(ignore)();
  x.line.said();
  x.bus.note.on(ignore);
  EXPECT_THAT(x.line.said(), ElementsAre("registered note"));
}

TEST(Parity03Registration, EveryChannelIsTold) {
  wire one;
  wire two;
  const bus_type bus{{.channels = {&one, &two}}};
  one.connected();
  two.connected();
  one.said();
  two.said();
  const auto gone = bus.note.on(ignore);
  gone();
  EXPECT_THAT(one.said(), ElementsAre("registered note", "unregistered note"));
  EXPECT_THAT(two.said(), ElementsAre("registered note", "unregistered note"));
}

TEST(Parity03Registration, WhatIsRegisteredBeforeTheConnectionIsAnnouncedWithItAndTheIgnoredSlotsLast) {
  wire line;
  const bus_type bus{{.channels = {&line}, .ignored_events = {"echo", "tick"}}};
  bus.note.on({"p"}, ignore);
  bus.twice.on([](int x) { return x; });
  EXPECT_THAT(line.said(), IsEmpty());
  line.connected();
  EXPECT_THAT(line.said(),
              ElementsAre("hello", "registered twice", "registered note p", "ignored { \"tick\", \"echo\" }"));
}

TEST(Parity03Registration, NothingIsSaidBeforeTheHelloWhateverOtherThreadsDo) {
  wire line;
  const bus_type bus{line};
  line.before_sending = [&](const message& next) {
    if (std::holds_alternative<hello>(next))
      std::thread{[&] { bus.note.on(ignore); }}.join();
  };
  line.connected();
  EXPECT_THAT(line.said(), ElementsAre("hello", "registered note"));
}

TEST(Parity03Registration, EveryReconnectionAnnouncesAllAgainAndTheIgnoredSlotsLast) {
  wired x{{"echo"}};
  x.bus.note.on(ignore);
  x.bus.tick.on([] {});
  for (int i = 0; i < 2; ++i) {
    x.line.disconnected();
    x.line.said();
    x.line.connected();
    EXPECT_THAT(x.line.said(), ElementsAre("hello", "registered note", "registered tick", "ignored { \"echo\" }"));
  }
}

TEST(Parity03Registration, WhatChangedWhileTheLinkWasDownIsAnnouncedAsItIsThen) {
  wired x;
  const auto gone = x.bus.note.on(ignore);
  x.line.disconnected();
  x.line.said();
  gone();
  x.bus.tick.on([] {});
  EXPECT_THAT(x.line.said(), IsEmpty());
  x.line.connected();
  EXPECT_THAT(x.line.said(), ElementsAre("hello", "registered tick"));
}

TEST(Parity03Registration, AHandlerThatGoesAsItIsAnnouncedLeavesTheFarEndWithTheTruth) {
  two_ends x;
  x.run();
  for (int i = 0; i < 3; ++i)
    x.there.twice.on([](int y) { return y; })();
  x.run();
  auto call = x.here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
}

TEST(Parity03Registration, RegistrationsOfUnknownSlotsDoNoHarm) {
  wired x;
  x.line.registers("of another declaration");
  x.line.registers("twice");
  x.line.unregisters("of another declaration");
  x.line.unregisters("never registered");
  auto call = x.bus.twice(1);
  x.line.answers(2);
  EXPECT_EQ(outcome(call), "2");
}

TEST(Parity03Registration, ARegistrationSaidTwiceIsTakenBackByOneWithdrawal) {
  wired x;
  x.line.registers("twice");
  x.line.registers("twice");
  x.line.unregisters("twice");
  EXPECT_EQ(outcome(x.bus.twice(1)), "pending");
  x.line.said();
  x.line.registers("twice");
  EXPECT_THAT(x.line.said(), ElementsAre("request twice")) << "the call went out once, when it could";
}

TEST(Parity03Registration, NodesOfAPoolAreToldWhatTheMasterHandles) {
  test::pool<events> pool;
  pool.bus().note.on(ignore);
  pool.child().twice.on([](int x) { return x; });
  static_cast<void>(pool.bus().twice(1)); // launches a node
  pool.run();
  std::vector<std::string> seen;
  pool.bus().tick.on([&] { seen.emplace_back("tick"); });
  static_cast<void>(pool.child().note("x"));
  auto call = pool.child().tick();
  pool.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("tick"));
}

// -- 4 ------------------------------------------------------------------------

TEST(Parity04Unsubscribe, RemovesExactlyThatHandler) {
  const bus_type bus;
  std::vector<std::string> seen;
  const auto handler = [&seen](std::string name) {
    return [&seen, name = std::move(name)](const std::string&) { seen.push_back(name); };
  };
  bus.note.on(handler("a"));
  const auto gone = bus.note.on(handler("b"));
  bus.note.on(handler("c"));
  gone();
  static_cast<void>(bus.note("x"));
  EXPECT_THAT(seen, ElementsAre("a", "c"));
}

TEST(Parity04Unsubscribe, TellsTwoRegistrationsOfOneFunctionApart) {
  const bus_type bus;
  int runs = 0;
  const auto count = [&](const std::string&) { ++runs; };
  const auto first = bus.note.on(count);
  bus.note.on(count);
  first();
  first();
  static_cast<void>(bus.note("x"));
  EXPECT_EQ(runs, 1);
}

TEST(Parity04Unsubscribe, LeavesOtherParametersAlone) {
  const bus_type bus;
  const auto gone = bus.twice.on({"a"}, [](int x) { return x; });
  bus.twice.on({"b"}, [](int x) { return 2 * x; });
  gone();
  EXPECT_EQ(outcome(bus.twice(1, {.param = {"a"}})), "no_handler: no handler for slot twice with param a");
  EXPECT_EQ(outcome(bus.twice(1, {.param = {"b"}})), "2");
}

TEST(Parity04Unsubscribe, ACallUnderWayIsStillAnswered) {
  two_ends x;
  std::vector<promise<int>> open;
  const auto gone = x.there.twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  auto call = x.here.twice(1);
  x.run();
  gone();
  x.run();
  ASSERT_EQ(open.size(), 1U);
  open.front().deliver(5);
  x.run();
  EXPECT_EQ(outcome(call), "5");
}

TEST(Parity04Unsubscribe, MayHappenInsideTheHandlerItself) {
  const bus_type bus;
  int runs = 0;
  unsubscribe gone = bus.note.on([&](const std::string&) {
    ++runs;
    gone();
  });
  EXPECT_EQ(outcome(bus.note("x")), "done");
  EXPECT_EQ(outcome(bus.note("x")), "no_handler: no handler for slot note with param $_DEFAULT_$");
  EXPECT_EQ(runs, 1);
}

TEST(Parity04Unsubscribe, AfterTheBusIsGoneHasNoEffect) {
  unsubscribe gone;
  {
    const bus_type bus;
    gone = bus.note.on(ignore);
  }
  EXPECT_NO_THROW(gone());
}

TEST(Parity04Unsubscribe, ACallOnItsWayToAHandlerThatWentIsAnsweredWithAnError) {
  two_ends x;
  const auto gone = x.there.twice.on([](int y) { return y; });
  x.run();
  auto call = x.here.twice(1);
  gone();
  x.run();
  EXPECT_EQ(outcome(call), "no_handler: no handler for slot twice with param $_DEFAULT_$");
}

TEST(Parity04Unsubscribe, ReleasesWhatTheHandlerOwned) {
  const bus_type bus;
  auto owned = std::make_shared<int>(1);
  const auto gone = bus.note.on([owned](const std::string&) {});
  EXPECT_EQ(owned.use_count(), 2);
  gone();
  EXPECT_EQ(owned.use_count(), 1);
}

} // namespace

} // namespace cluster_channel::parity
