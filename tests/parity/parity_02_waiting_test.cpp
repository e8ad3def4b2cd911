// 2. A call waits until every transport has a handler for it, within limits.

#include "parity.hpp"
#include <thread>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

TEST(Parity02Waiting, ACallWaitsUntilTheFarEndHasAHandler) {
  two_ends x;
  auto call = x.here.twice(21);
  x.advance(60s);
  EXPECT_EQ(outcome(call), "pending");
  x.there.twice.on(doubled);
  x.run();
  EXPECT_EQ(outcome(call), "42");
}

TEST(Parity02Waiting, ACallWaitsForTheVeryParameter) {
  two_ends x;
  x.there.twice.on(doubled);
  x.there.twice.on({"a"}, doubled);
  auto call = x.here.twice(21, {.param = {"b"}});
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  x.there.twice.on({"b"}, [](int) { return 7; });
  x.run();
  EXPECT_EQ(outcome(call), "7");
}

TEST(Parity02Waiting, ACallWaitsForEveryTransport) {
  three_ends x;
  std::vector<std::string> seen;
  x.one.note.on([&](const std::string&) { seen.emplace_back("one"); });
  auto call = x.here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  EXPECT_THAT(seen, IsEmpty());
  x.two.note.on([&](const std::string&) { seen.emplace_back("two"); });
  x.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("one", "two"));
}

TEST(Parity02Waiting, ACallWaitsForTheFarEndThoughAHandlerIsHere) {
  two_ends x;
  std::vector<std::string> seen;
  x.here.note.on([&](const std::string&) { seen.emplace_back("here"); });
  auto call = x.here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  EXPECT_THAT(seen, IsEmpty());
  x.there.note.on([&](const std::string&) { seen.emplace_back("there"); });
  x.run();
  EXPECT_THAT(seen, ElementsAre("here", "there"));
}

TEST(Parity02Waiting, WaitingCallsGoOutInTheirOrder) {
  two_ends x;
  std::vector<std::string> seen;
  for (auto* text : {"a", "b", "c"})
    static_cast<void>(x.here.note(text));
  x.there.note.on([&](const std::string& text) { seen.push_back(text); });
  x.run();
  EXPECT_THAT(seen, ElementsAre("a", "b", "c"));
}

TEST(Parity02Waiting, ACallOfAnotherThreadDoesNotOvertakeTheWaitingOnesThatAreBeingSent) {
  virtual_time x;
  wire line;
  line.connected();
  const bus_type bus{x.options({&line})};
  std::vector<std::string> seen;
  bus.note.on([&](const std::string& text) {
    seen.push_back(text);
    if (text == "a")
      std::thread{[&] { static_cast<void>(bus.note("c")); }}.join();
  });
  static_cast<void>(bus.note("a"));
  static_cast<void>(bus.note("b"));
  line.registers("note");
  EXPECT_THAT(seen, ElementsAre("a", "b")) << "what came meanwhile is for the timers";
  x.run();
  EXPECT_THAT(seen, ElementsAre("a", "b", "c"));
}

TEST(Parity02Waiting, ACallFromWithinAWaitingOneThatIsBeingSentDoesNotWaitForIt) {
  wire line;
  line.connected();
  const bus_type bus{line};
  std::string inner;
  bus.note.on([&](const std::string& text) {
    if (text != "outer")
      return;
    auto call = bus.note("inner");
    line.message_received(response{line.last_request.id, {}});
    inner = outcome(call);
  });
  auto outer = bus.note("outer");
  line.registers("note");
  EXPECT_EQ(inner, "done");
}

TEST(Parity02Waiting, CallsThatHaveNotGoneOutYetWhenTheFarEndGoesKeepWaiting) {
  wire line;
  line.connected();
  const bus_type bus{line};
  int runs = 0;
  bus.note.on([&](const std::string&) {
    ++runs;
    line.unregisters("note");
  });
  static_cast<void>(bus.note("a"));
  auto second = bus.note("b");
  line.registers("note");
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(outcome(second), "pending");
  line.registers("note");
  EXPECT_EQ(runs, 2);
}

TEST(Parity02Waiting, CallsWaitAgainAfterTheFarEndsLastHandlerWent) {
  two_ends x;
  const auto gone = x.there.twice.on(doubled);
  x.run();
  gone();
  x.run();
  auto call = x.here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  x.there.twice.on([](int) { return 9; });
  x.run();
  EXPECT_EQ(outcome(call), "9");
}

TEST(Parity02Waiting, ACallWaitsForABusThatIsStillToBeMade) {
  virtual_time x;
  local_channel_pair link{x.system};
  const bus_type here{x.options({&link.first()})};
  auto call = here.twice(4);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  const bus_type there{x.options({&link.second()})};
  there.twice.on(doubled);
  x.run();
  EXPECT_EQ(outcome(call), "8");
}

TEST(Parity02Waiting, NoBufferSendsACallAtOnceAndTheFarEndSaysThatItHasNoHandler) {
  two_ends x;
  auto call = x.here.now(1);
  x.run();
  EXPECT_THAT(outcome(call), StartsWith("no_handler: no handler for slot now"));
}

TEST(Parity02Waiting, NoBufferReachesAHandlerWhoseAnnouncementIsStillOnItsWay) {
  two_ends x;
  x.run();
  x.there.now.on(doubled);
  auto call = x.here.now(1);
  x.run();
  EXPECT_EQ(outcome(call), "2");
}

TEST(Parity02Waiting, NoBufferCallsOnlyThoseWhoAreThere) {
  three_ends x;
  x.two.now.on(doubled);
  x.run();
  auto call = x.here.now(5);
  x.run();
  EXPECT_EQ(outcome(call), "10");
}

TEST(Parity02Waiting, NoBufferDoesNotCallAFarEndBesidesALocalHandlerUnlessItHasOne) {
  wire line;
  line.connected();
  const bus_type bus{line};
  bus.now.on(doubled);
  static_cast<void>(line.said());
  EXPECT_EQ(outcome(bus.now(3)), "6");
  EXPECT_THAT(line.said(), IsEmpty());
}

TEST(Parity02Waiting, AFarEndThatIgnoresTheSlotIsNotWaitedFor) {
  three_ends x;
  wire deaf;
  deaf.connected();
  const bus_type bus{x.options({&deaf})};
  bus.note.on([](const std::string&) {});
  auto call = bus.note("x");
  EXPECT_EQ(outcome(call), "pending");
  deaf.message_received(event_list{{"note"}});
  EXPECT_EQ(outcome(call), "done") << "the list did not release the call that waited";
  EXPECT_EQ(outcome(bus.note("y")), "done");
}

TEST(Parity02Waiting, ASlotThatTheOnlyFarEndIgnoresHasNoHandler) {
  wire deaf;
  deaf.connected();
  const bus_type bus{deaf};
  deaf.message_received(event_list{{"twice"}});
  EXPECT_THAT(outcome(bus.twice(1)), StartsWith("no_handler: "));
}

TEST(Parity02Waiting, TheListOfIgnoredSlotsOutweighsARegistration) {
  wire deaf;
  deaf.connected();
  const bus_type bus{deaf};
  bus.note.on([](const std::string&) {});
  deaf.message_received(event_list{{"note"}});
  deaf.registers("note");
  static_cast<void>(deaf.said());
  EXPECT_EQ(outcome(bus.note("x")), "done");
  EXPECT_THAT(deaf.said(), IsEmpty());
}

TEST(Parity02Waiting, OneOfTwoFarEndsThatIgnoresTheSlotIsNotWaitedFor) {
  virtual_time x;
  local_channel_pair first{x.system};
  local_channel_pair second{x.system};
  const bus_type here{x.options({&first.first(), &second.first()})};
  auto ignoring = x.options({&first.second()});
  ignoring.ignored_events = {"twice"};
  const bus_type one{std::move(ignoring)};
  const bus_type two{x.options({&second.second()})};
  two.twice.on(doubled);
  auto call = here.twice(3);
  x.run();
  EXPECT_EQ(outcome(call), "6");
}

TEST(Parity02Waiting, AListThatComesAfterItsConnectionWentIsNotRememberedForTheNext) {
  wire line;
  line.connected();
  const bus_type bus{line};
  line.disconnected();
  line.message_received(event_list{{"twice"}});
  line.connected();
  line.registers("twice");
  auto call = bus.twice(1);
  line.answers(5);
  EXPECT_EQ(outcome(call), "5");
}

// -- limits -------------------------------------------------------------------

TEST(Parity02Waiting, TheBusLimitsHowLongACallWaits) {
  virtual_time x;
  wire line;
  line.connected();
  auto options = x.options({&line});
  options.wait_timeout = 2s;
  const bus_type bus{std::move(options)};
  auto call = bus.twice(1);
  x.advance(1999ms);
  EXPECT_EQ(outcome(call), "pending");
  x.advance(1ms);
  EXPECT_EQ(outcome(call), "timed_out: TIMED_OUT on twice with param $_DEFAULT_$: not every far end has a handler for "
                           "it");
}

TEST(Parity02Waiting, ASlotAndACallMayLimitTheWaitThemselves) {
  two_ends x;
  auto by_slot = x.here.impatient(1);
  auto by_call = x.here.impatient(1, {.param = {"p"}, .wait_timeout = 50ms});
  x.advance(50ms);
  EXPECT_EQ(outcome(by_slot), "pending");
  EXPECT_THAT(outcome(by_call), StartsWith("timed_out: TIMED_OUT on impatient with param p"));
  x.advance(50ms);
  EXPECT_THAT(outcome(by_slot), StartsWith("timed_out: TIMED_OUT on impatient with param $_DEFAULT_$"));
}

TEST(Parity02Waiting, ACallThatWaitedInTimeIsNotLimitedByItAnyMore) {
  two_ends x;
  auto call = x.here.impatient(1);
  x.advance(99ms);
  std::vector<promise<int>> open;
  x.there.impatient.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  x.advance(1s);
  ASSERT_EQ(open.size(), 1U);
  open.front().deliver(7);
  x.run();
  EXPECT_EQ(outcome(call), "7");
}

TEST(Parity02Waiting, ACallThatStoppedWaitingIsNotSentLater) {
  virtual_time x;
  wire line;
  line.connected();
  const bus_type bus{x.options({&line})};
  auto call = bus.impatient(1);
  x.advance(100ms);
  EXPECT_THAT(outcome(call), StartsWith("timed_out"));
  static_cast<void>(line.said());
  line.registers("impatient");
  EXPECT_THAT(line.said(), IsEmpty());
}

TEST(Parity02Waiting, TheNumberOfWaitingCallsIsBounded) {
  wire line;
  line.connected();
  const bus_type bus{{.channels = {&line}, .buffer_calls_max = 2}};
  auto first = bus.twice(1);
  auto second = bus.note("x");
  EXPECT_THAT(outcome(bus.twice(2)), StartsWith("buffer_full: "));
  line.registers("note");
  EXPECT_EQ(outcome(second), "pending");
  auto third = bus.twice(3); // there is room again
  EXPECT_EQ(outcome(first), "pending");
  EXPECT_EQ(outcome(third), "pending");
  EXPECT_THAT(outcome(bus.twice(4)), HasSubstr("raise buffer_calls_max"));
}

TEST(Parity02Waiting, TheBytesOfWaitingCallsAreBounded) {
  wire line;
  line.connected();
  const std::string text(100, 'x');
  const auto size = encode(text).size();
  const bus_type bus{{.channels = {&line}, .buffer_bytes_max = 2 * size}};
  auto first = bus.echo(text);
  auto second = bus.echo(text);
  EXPECT_THAT(outcome(bus.note("")), StartsWith("buffer_full: "));
  line.registers("echo");
  auto third = bus.note("");
  EXPECT_EQ(outcome(third), "pending");
  line.answers(text);
  EXPECT_EQ(outcome(second), in_words(text));
  EXPECT_EQ(outcome(first), "pending");
}

TEST(Parity02Waiting, ACallThatTimedOutLeavesItsRoomToOthers) {
  virtual_time x;
  wire line;
  line.connected();
  auto options = x.options({&line});
  options.buffer_calls_max = 1;
  const bus_type bus{std::move(options)};
  static_cast<void>(bus.impatient(1));
  EXPECT_THAT(outcome(bus.twice(1)), StartsWith("buffer_full"));
  x.advance(100ms);
  EXPECT_EQ(outcome(bus.twice(1)), "pending");
}

TEST(Parity02Waiting, CallsThatWaitFailWhenTheirBusGoes) {
  wire line;
  line.connected();
  auto bus = std::make_unique<bus_type>(line);
  auto call = bus->twice(1);
  bus.reset();
  EXPECT_EQ(outcome(call), "channel_closed: the event bus of this slot is gone");
}

} // namespace

} // namespace cluster_channel::parity
