// 1. Calling a slot, with or without a parameter, yields one eventual result.

#include "parity.hpp"
#include <stdexcept>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;

TEST(Parity01Trigger, TheAnswerOfOneLocalHandlerIsTheCalls) {
  const bus_type bus;
  bus.twice.on(doubled);
  EXPECT_EQ(outcome(bus.twice(21)), "42");
}

TEST(Parity01Trigger, TheErrorOfOneLocalHandlerIsTheCalls) {
  const bus_type bus;
  bus.twice.on([](int) -> int { throw std::runtime_error("no luck"); });
  EXPECT_EQ(outcome(bus.twice(21)), "handler_failed: no luck");
}

TEST(Parity01Trigger, TheAnswerOfOneRemoteHandlerIsTheCalls) {
  two_ends x;
  x.there.twice.on(doubled);
  auto call = x.here.twice(21);
  EXPECT_EQ(outcome(call), "pending");
  x.run();
  EXPECT_EQ(outcome(call), "42");
}

TEST(Parity01Trigger, TheErrorOfOneRemoteHandlerIsTheCalls) {
  two_ends x;
  x.there.twice.on([](int) -> int { throw std::runtime_error("no luck"); });
  auto call = x.here.twice(21);
  x.run();
  EXPECT_EQ(outcome(call), "handler_failed: no luck");
}

TEST(Parity01Trigger, ACallGoesBothWays) {
  two_ends x;
  x.there.twice.on(doubled);
  x.here.echo.on([](const std::string& text) { return text + "!"; });
  x.run();
  auto question = x.here.twice(1);
  auto other = x.there.echo("a");
  x.run();
  EXPECT_EQ(outcome(question), "2");
  EXPECT_EQ(outcome(other), "\"a!\"");
}

TEST(Parity01Trigger, SeveralHandlersOfAnEventAllRunWithTheSameData) {
  const bus_type bus;
  std::vector<std::string> seen;
  for (int i = 0; i < 3; ++i)
    bus.note.on([&](const std::string& text) { seen.push_back(text); });
  EXPECT_EQ(outcome(bus.note("x")), "done");
  EXPECT_THAT(seen, ElementsAre("x", "x", "x"));
}

TEST(Parity01Trigger, AnEventIsDoneWhenTheLastOfItsHandlersIs) {
  const bus_type bus;
  std::vector<promise<void>> open;
  for (int i = 0; i < 2; ++i)
    bus.note.on([&](const std::string&, promise<void> done) { open.push_back(std::move(done)); });
  auto call = bus.note("x");
  ASSERT_EQ(open.size(), 2U);
  open[1].deliver();
  EXPECT_EQ(outcome(call), "pending");
  open[0].deliver();
  EXPECT_EQ(outcome(call), "done");
}

TEST(Parity01Trigger, TheFirstFailureInTimeFailsAnEventAtOnce) {
  const bus_type bus;
  std::vector<promise<void>> open;
  for (int i = 0; i < 3; ++i)
    bus.note.on([&](const std::string&, promise<void> done) { open.push_back(std::move(done)); });
  auto call = bus.note("x");
  ASSERT_EQ(open.size(), 3U);
  open[2].fail("the last one, first");
  EXPECT_EQ(outcome(call), "handler_failed: the last one, first");
  open[0].fail("the first one, later"); // and one never ends
}

TEST(Parity01Trigger, HandlersHereAndAtTheFarEndAllRunForAnEvent) {
  two_ends x;
  std::vector<std::string> seen;
  x.here.note.on([&](const std::string& text) { seen.push_back("here " + text); });
  x.there.note.on([&](const std::string& text) { seen.push_back("there " + text); });
  x.run();
  auto call = x.here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("here x", "there x"));
}

TEST(Parity01Trigger, AnEventReachesTheHandlersOfEveryChannelOnce) {
  three_ends x;
  std::vector<std::string> seen;
  x.one.note.on([&](const std::string& text) { seen.push_back("one " + text); });
  x.two.note.on([&](const std::string& text) { seen.push_back("two " + text); });
  auto call = x.here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("one x", "two x"));
}

TEST(Parity01Trigger, AFailureAtOneOfTwoFarEndsFailsAnEvent) {
  three_ends x;
  bool ran = false;
  x.one.note.on([](const std::string&) { throw std::runtime_error("no luck"); });
  x.two.note.on([&](const std::string&) { ran = true; });
  auto call = x.here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "handler_failed: no luck");
  EXPECT_TRUE(ran);
}

TEST(Parity01Trigger, HandlersOfAnotherParameterDoNotRun) {
  two_ends x;
  std::vector<std::string> seen;
  x.there.note.on([&](const std::string&) { seen.emplace_back("none"); });
  x.there.note.on({"a"}, [&](const std::string&) { seen.emplace_back("a"); });
  x.there.note.on({"b"}, [&](const std::string&) { seen.emplace_back("b"); });
  auto call = x.here.note("x", {.param = {"b"}});
  x.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("b"));
}

TEST(Parity01Trigger, ACallWithoutParameterIsOneWithTheDefaultParameter) {
  const bus_type bus;
  bus.twice.on({default_param}, doubled);
  EXPECT_EQ(outcome(bus.twice(2)), "4");
  EXPECT_EQ(outcome(bus.twice(2, {.param = {"$_DEFAULT_$"}})), "4");
}

TEST(Parity01Trigger, ALocalBusWithoutHandlersFailsACallAtOnceInsteadOfNeverEndingIt) {
  const bus_type bus;
  EXPECT_EQ(outcome(bus.twice(2)), "no_handler: no handler for slot twice with param $_DEFAULT_$");
  EXPECT_EQ(outcome(bus.note("x")), "no_handler: no handler for slot note with param $_DEFAULT_$");
}

TEST(Parity01Trigger, AHandlersOwnCallsAndRegistrationsDoNotDisturbTheCall) {
  const bus_type bus;
  int inner = 0;
  bus.note.on([&](const std::string& text) {
    if (text == "outer") {
      static_cast<void>(bus.note("inner"));
      bus.note.on([&](const std::string&) { ++inner; });
    }
  });
  EXPECT_EQ(outcome(bus.note("outer")), "done");
  EXPECT_EQ(inner, 0) << "a handler ran for the call in which it was registered";
  EXPECT_EQ(outcome(bus.note("again")), "done");
  EXPECT_EQ(inner, 1);
}

TEST(Parity01Trigger, AMasterAndItsNodesBothRunTheirHandlersOfAnEvent) {
  test::pool<events> pool;
  std::vector<std::string> seen;
  pool.bus().note.on([&](const std::string& text) { seen.push_back("master " + text); });
  pool.child().note.on([&](const std::string& text) { seen.push_back("node " + text); });
  auto call = pool.bus().note("x");
  pool.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("master x", "node x"));
}

} // namespace

} // namespace cluster_channel::parity
