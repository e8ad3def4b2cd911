// 8. A channel that disconnects or fails: what happens to its calls and handlers.
// 9. Reconnecting: by calling, and by answering.

#include "parity.hpp"

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// Two buses of which the far one keeps its calls open.
class open_calls : public two_ends {
public:
  explicit open_calls(local_channel_options how = {}) : two_ends{how} {
    const auto keep = [this](int, promise<int> done) { open.push_back(std::move(done)); };
    there.twice.on(keep);
    there.stay.on(keep);
    run();
  }

  std::vector<promise<int>> open;
};

TEST(Parity08Disconnect, FailsThePendingCallsOfTheChannel) {
  open_calls x;
  auto first = x.here.twice(1);
  auto second = x.here.twice(2);
  x.run();
  x.link.disconnect();
  x.run();
  EXPECT_EQ(outcome(first), "connection_closed: REMOTE_CONNECTION_CLOSED");
  EXPECT_EQ(outcome(second), "connection_closed: REMOTE_CONNECTION_CLOSED");
}

TEST(Parity08Disconnect, LeavesThePendingCallsOfOtherChannelsAlone) {
  three_ends x;
  std::vector<promise<int>> open;
  for (const auto* bus : {&x.one, &x.two})
    bus->twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  x.run();
  auto all = x.here.twice.all_settled(1);
  x.run();
  x.first.disconnect();
  x.run();
  EXPECT_EQ(outcome(all), "pending");
  open.at(1).deliver(2);
  x.run();
  EXPECT_EQ(outcome(all), "[connection_closed: REMOTE_CONNECTION_CLOSED, 2]");
}

TEST(Parity08Disconnect, TakesTheFarEndsHandlersAway) {
  two_ends x;
  x.there.twice.on(same);
  x.run();
  x.link.disconnect();
  x.run();
  auto call = x.here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  x.link.connect();
  x.run();
  EXPECT_EQ(outcome(call), "1");
}

TEST(Parity08Disconnect, ACallOfASlotWithoutBufferFailsWhileNotConnected) {
  two_ends x{{.connected = false}};
  EXPECT_EQ(outcome(x.here.now(1)), "channel_not_ready: CHANNEL_NOT_READY on now");
  EXPECT_EQ(outcome(x.here.shout("x")), "channel_not_ready: CHANNEL_NOT_READY on shout");
}

TEST(Parity08Disconnect, ACallWithOneOfSeveralChannelsNotConnectedSaysSo) {
  three_ends x;
  x.two.now.on(same);
  x.two.shout.on([](const std::string&) {});
  x.run();
  x.first.disconnect();
  x.run();
  auto question = x.here.now(1);
  auto event = x.here.shout("x");
  x.run();
  EXPECT_EQ(outcome(question), "channel_not_ready: CHANNEL_NOT_READY on now");
  EXPECT_EQ(outcome(event), "channel_not_ready: CHANNEL_NOT_READY on shout");
}

TEST(Parity08Disconnect, ALateAnswerOfTheOldConnectionEndsNoCallOfTheNewOne) {
  open_calls x;
  auto old = x.here.twice(1);
  x.run();
  x.link.disconnect();
  x.link.connect();
  x.run();
  EXPECT_EQ(outcome(old), "connection_closed: REMOTE_CONNECTION_CLOSED");
  auto call = x.here.twice(2);
  x.run();
  x.open.at(0).deliver(10);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  x.open.at(1).deliver(20);
  x.run();
  EXPECT_EQ(outcome(call), "20");
}

TEST(Parity08Disconnect, AnErrorOfTheChannelFailsItsPendingCallsWithThatError) {
  open_calls x;
  auto call = x.here.twice(1);
  x.run();
  x.link.fail(make_error(errc::protocol_error, "the line is noisy"));
  x.run();
  EXPECT_EQ(outcome(call), "protocol_error: the line is noisy");
}

TEST(Parity08Disconnect, AnErrorOfTheChannelDoesNotDisconnectIt) {
  open_calls x;
  x.link.fail(make_error(errc::protocol_error, "the line is noisy"));
  x.run();
  auto call = x.here.twice(1);
  x.run();
  ASSERT_EQ(x.open.size(), 1U);
  x.open.front().deliver(4);
  x.run();
  EXPECT_EQ(outcome(call), "4");
}

TEST(Parity08Disconnect, AFailureSaysSlotAndParameter) {
  open_calls x;
  auto call = x.here.twice(1);
  x.run();
  x.link.disconnect();
  x.run();
  auto result = call.get(0ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(failure_of(result.error()).slot, "twice");
  EXPECT_EQ(failure_of(result.error()).param, default_param);
}

TEST(Parity08Disconnect, AChannelThatIsDestroyedFailsItsPendingCalls) {
  auto line = std::make_unique<wire>();
  line->connected();
  const bus_type bus{*line};
  line->registers("twice");
  auto call = bus.twice(1);
  line.reset();
  EXPECT_EQ(outcome(call), "channel_closed: the channel was closed before the call was answered");
}

TEST(Parity08Disconnect, AChannelThatIsDestroyedFailsWaitingCallsAndThoseToCome) {
  auto line = std::make_unique<wire>();
  line->connected();
  const bus_type bus{*line};
  std::vector<std::string> seen;
  bus.echo.lazy([&](const std::string&) { seen.emplace_back("+"); },
                [&](const std::string&) { seen.emplace_back("-"); });
  line->registers("echo");
  auto waits = bus.twice(1);
  line.reset();
  EXPECT_EQ(outcome(waits), "channel_closed: the channel is closed");
  EXPECT_EQ(outcome(bus.twice(1)), "channel_closed: the channel is closed");
  EXPECT_THAT(seen, ElementsAre("+", "-"));
}

TEST(Parity08Disconnect, AHandlerStillRunsForACallOfAFarEndThatWent) {
  open_calls x;
  auto call = x.here.twice(1);
  x.run();
  x.link.disconnect();
  x.run();
  ASSERT_EQ(x.open.size(), 1U);
  EXPECT_NO_THROW(x.open.front().deliver(1)); // the answer has nowhere to go
  x.run();
  EXPECT_EQ(outcome(call), "connection_closed: REMOTE_CONNECTION_CLOSED");
}

// -- 9 ------------------------------------------------------------------------

TEST(Parity09Reconnect, ACallReconnectsFirst) {
  two_ends x{{.connected = false, .reconnects = true}};
  x.there.twice.on(same);
  auto call = x.here.twice(3);
  EXPECT_EQ(outcome(call), "pending");
  x.run();
  EXPECT_EQ(outcome(call), "3");
}

TEST(Parity09Reconnect, ACallOfASlotWithoutBufferReconnectsFirst) {
  two_ends x{{.connected = false, .reconnects = true}};
  x.there.now.on(same);
  auto call = x.here.now(3);
  x.run();
  EXPECT_EQ(outcome(call), "3");
}

TEST(Parity09Reconnect, ACallReconnectsEveryChannelThatIsDown) {
  three_ends x{{.reconnects = true}};
  std::vector<std::string> seen;
  x.one.note.on([&](const std::string&) { seen.emplace_back("one"); });
  x.two.note.on([&](const std::string&) { seen.emplace_back("two"); });
  x.run();
  x.first.disconnect();
  x.second.disconnect();
  x.run();
  auto call = x.here.note("x");
  x.run();
  EXPECT_EQ(outcome(call), "done");
  EXPECT_THAT(seen, ElementsAre("one", "two"));
}

TEST(Parity09Reconnect, ASlotMayBeToldNotToReconnect) {
  wire line;
  line.can_reconnect = true;
  const bus_type bus{line};
  auto waits = bus.stay(1);
  EXPECT_EQ(outcome(waits), "pending");
  EXPECT_EQ(outcome(bus.blunt(1)), "channel_not_ready: CHANNEL_NOT_READY on blunt");
  EXPECT_EQ(line.reconnections, 0);
  line.connected();
  line.registers("stay");
  line.answers(4);
  EXPECT_EQ(outcome(waits), "4");
}

TEST(Parity09Reconnect, AChannelThatIsReconnectingIsNotToldAgain) {
  wire line;
  line.can_reconnect = true;
  const bus_type bus{line};
  for (int i = 0; i < 3; ++i)
    static_cast<void>(bus.twice(i));
  EXPECT_EQ(line.reconnections, 1);
}

TEST(Parity09Reconnect, AnotherCallTriesAgainAfterOneThatFailed) {
  wire line;
  line.can_reconnect = true;
  const bus_type bus{line};
  auto first = bus.twice(1);
  line.error(make_error(errc::connection_closed, "nobody there"));
  static_cast<void>(bus.note("x"));
  EXPECT_EQ(line.reconnections, 2);
  line.connected();
  line.registers("twice");
  line.answers(2);
  EXPECT_EQ(outcome(first), "2");
}

TEST(Parity09Reconnect, ACallWithoutBufferFailsWhenReconnectingFails) {
  wire line;
  line.can_reconnect = true;
  const bus_type bus{line};
  auto call = bus.now(1);
  EXPECT_EQ(outcome(call), "pending");
  line.error(make_error(errc::connection_closed, "nobody there"));
  EXPECT_EQ(outcome(call), "channel_not_ready: CHANNEL_NOT_READY on now");
}

TEST(Parity09Reconnect, AChannelThatCannotReconnectLeavesACallWaiting) {
  two_ends x{{.connected = false}};
  x.there.twice.on(same);
  auto call = x.here.twice(1);
  x.run();
  EXPECT_EQ(outcome(call), "pending");
  x.link.connect();
  x.run();
  EXPECT_EQ(outcome(call), "1");
}

TEST(Parity09Reconnect, AnsweringReconnectsAndThenSendsTheAnswer) {
  wire line;
  line.connected();
  line.can_reconnect = true;
  const bus_type bus{line};
  std::vector<promise<int>> open;
  bus.twice.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  line.message_received(request{7, "twice", default_param, encode(1)});
  line.disconnected();
  line.said();
  open.at(0).deliver(1);
  EXPECT_EQ(line.reconnections, 1);
  EXPECT_THAT(line.said(), IsEmpty());
  line.connected();
  EXPECT_THAT(line.said(), ElementsAre("hello", "registered twice", "response"));
}

TEST(Parity09Reconnect, AnsweringASlotThatMayNotReconnectDropsTheAnswer) {
  wire line;
  line.connected();
  line.can_reconnect = true;
  const bus_type bus{line};
  std::vector<promise<int>> open;
  bus.stay.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  line.message_received(request{7, "stay", default_param, encode(1)});
  line.disconnected();
  open.at(0).deliver(1);
  EXPECT_EQ(line.reconnections, 0);
  line.said();
  line.connected();
  EXPECT_THAT(line.said(), ElementsAre("hello", "registered stay"));
}

TEST(Parity09Reconnect, BothEndsAnnounceTheirHandlersAnew) {
  two_ends x{{.reconnects = true}};
  x.here.echo.on([](const std::string& text) { return text; });
  x.there.twice.on(same);
  x.run();
  x.link.disconnect();
  x.run();
  auto there = x.there.echo("a");
  x.run();
  auto here = x.here.twice(2);
  x.run();
  EXPECT_EQ(outcome(there), "\"a\"");
  EXPECT_EQ(outcome(here), "2");
}

} // namespace

} // namespace cluster_channel::parity
