// The proxy alone: a real socket whose far end the test holds, and test actors in place of router and supervisor.

#include <cluster_channel/actors/registration_table.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "child_proxy_fixture.hpp"
#include <chrono>
#include <string>
#include <thread>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using test::ChildProxy;
using test::deadline;
using ::testing::HasSubstr;

// -- greeting -----------------------------------------------------------------

TEST_F(ChildProxy, SaysHelloFirst) {
  start();
  auto first = hear();
  ASSERT_TRUE(first && std::holds_alternative<hello>(*first));
  EXPECT_EQ(std::get<hello>(*first).slots.at(0).name, "echo");
}

TEST_F(ChildProxy, GreetingTakesTheChildsHello) {
  start();
  make_ready();
}

TEST_F(ChildProxy, GreetingRefusesAMismatchForGood) {
  start();
  say(hello{protocol_version, binary_codec, {{"echo", "i32 -> i32"}}});
  const auto event = gone();
  EXPECT_EQ(event.cause.code, errc::protocol_mismatch);
  EXPECT_TRUE(event.permanent);
  EXPECT_TRUE(event.misbehaved);
}

TEST_F(ChildProxy, GreetingRefusesAnotherFirstMessage) {
  start();
  say(handler_registered{"echo", default_param});
  const auto event = gone();
  EXPECT_EQ(event.cause.code, errc::protocol_error);
  EXPECT_TRUE(event.misbehaved);
}

TEST_F(ChildProxy, GreetingEndsWhenNoHelloComes) {
  start([](pool_options& x) { x.start_timeout = 20ms; });
  const auto event = gone();
  EXPECT_EQ(event.cause.code, errc::launch_failed);
  EXPECT_THAT(event.cause.text, HasSubstr("no hello from child within 20 ms"));
}

TEST_F(ChildProxy, GreetingThatEndsWithTheProcessAsksWhetherItIsAChild) {
  start();
  exit({false, 3});
  hang_up();
  const auto event = gone();
  EXPECT_EQ(event.cause.exit_code, 3);
  EXPECT_THAT(event.cause.text, HasSubstr("before it said hello: is child a cluster_channel child?"));
}

// CAF's event loop forgets a connection that is added and closed in one of its rounds.

TEST_F(ChildProxy, ThatEndsAsItStartsClosesItsLink) {
  start(nullptr, [](const caf::actor& proxy) { caf::anon_send_exit(proxy, caf::exit_reason::kill); });
  EXPECT_TRUE(closes_its_end());
}

TEST_F(ChildProxy, ThatShutsItsLinkAsItStartsClosesIt) {
  start(nullptr, [](const caf::actor& proxy) { caf::anon_send(proxy, shut_link{}); });
  hang_up();
  exit({false, 0});
  EXPECT_TRUE(closes_its_end());
}

// -- serving ------------------------------------------------------------------

TEST_F(ChildProxy, ServingWritesCallsAndPassesOnAnswers) {
  start();
  make_ready();
  assign(17);
  EXPECT_EQ(hear(), message(request{17, "echo", default_param, bytes(3)}));
  say(response{17, bytes(5)});
  const auto event = this->event<calls_finished>();
  EXPECT_EQ(event->node, 7U);
  ASSERT_EQ(event->calls.size(), 1U);
  EXPECT_EQ(event->calls[0].call, 17U);
  EXPECT_EQ(std::get<bytes>(event->calls[0].result).size(), 5U);
}

TEST_F(ChildProxy, ServingPassesOnAllAnswersOfOneReadTogether) {
  start();
  make_ready();
  std::vector<char> out;
  for (call_id id = 1; id <= 10; ++id)
    ASSERT_FALSE(write_frame(out, response{id, {}}, default_frame_bytes_max));
  say(out);
  EXPECT_EQ(event<calls_finished>()->calls.size(), 10U);
}

TEST_F(ChildProxy, ServingSaysWhichNodeFailedACall) {
  start();
  make_ready();
  failure what;
  what.code = errc::handler_failed;
  what.text = "no luck";
  say(error_message{17, what});
  const auto event = this->event<calls_finished>();
  const auto& got = std::get<failure>(event->calls.at(0).result);
  EXPECT_EQ(got.text, "no luck");
  EXPECT_EQ(got.node, 7U);
  EXPECT_EQ(got.pid, 4711);
}

TEST_F(ChildProxy, ServingRefusesACallThatIsTooLargeWithoutSendingIt) {
  start([](pool_options& x) { x.frame_bytes_max = 1024; });
  make_ready();
  assign_calls msg;
  msg.calls.push_back({1, "echo", default_param, bytes(2000)});
  msg.calls.push_back({2, "echo", default_param, bytes(10)});
  caf::anon_send(proxy_, std::move(msg));
  const auto event = this->event<calls_finished>();
  ASSERT_EQ(event->calls.size(), 1U);
  EXPECT_EQ(event->calls[0].call, 1U);
  EXPECT_EQ(std::get<failure>(event->calls[0].result).code, errc::message_too_large);
  EXPECT_EQ(std::get<request>(*hear()).id, 2U);
}

TEST_F(ChildProxy, ServingHandsOnCallsOfTheChildAndReturnsTheirAnswers) {
  start();
  make_ready();
  say(request{5, "log", "p", encode(std::string{"x"})});
  const auto asked = event<child_call>();
  EXPECT_EQ(asked->node, 7U);
  EXPECT_EQ(asked->call, (request{5, "log", "p", encode(std::string{"x"})}));
  caf::anon_send(proxy_, child_answer{7, 5, bytes(2)});
  EXPECT_EQ(*hear(), message{(response{5, bytes(2)})});
}

TEST_F(ChildProxy, ServingReturnsTheFailureOfACallOfTheChild) {
  start();
  make_ready();
  say(request{5, "log", default_param, {}});
  EXPECT_EQ(event<child_call>()->call.id, 5U);
  caf::anon_send(proxy_, child_answer{7, 5, failure{.code = errc::no_handler, .text = "nobody"}});
  const auto answer = hear();
  ASSERT_TRUE(answer && std::holds_alternative<error_message>(*answer));
  EXPECT_EQ(std::get<error_message>(*answer).what.text, "nobody");
}

TEST_F(ChildProxy, ServingDropsAnAnswerThatNobodyAskedFor) {
  start();
  make_ready();
  caf::anon_send(proxy_, child_answer{7, 5, bytes(2)});
  caf::anon_send(proxy_, tell_child{{handler_registered{"log", "p"}}});
  EXPECT_EQ(*hear(), message{(handler_registered{"log", "p"})});
}

TEST_F(ChildProxy, ServingRefusesCallsOfTheChildBeyondTheirMaximum) {
  start([](pool_options& x) { x.child_calls_max = 1; });
  make_ready();
  say(request{5, "log", default_param, {}});
  say(request{6, "log", default_param, {}});
  EXPECT_EQ(event<child_call>()->call.id, 5U);
  const auto refused = hear();
  ASSERT_TRUE(refused && std::holds_alternative<error_message>(*refused));
  EXPECT_EQ(std::get<error_message>(*refused).id, 6U);
  EXPECT_EQ(std::get<error_message>(*refused).what.code, errc::buffer_full);
}

TEST_F(ChildProxy, ServingEndsOnTwoOpenCallsOfTheChildWithOneId) {
  start();
  make_ready();
  say(request{5, "log", default_param, {}});
  say(request{5, "log", default_param, {}});
  EXPECT_EQ(event<child_call>()->call.id, 5U);
  EXPECT_EQ(gone().cause.code, errc::protocol_error);
}

TEST_F(ChildProxy, ServingHandsOnWhatTheChildAnnounces) {
  start();
  make_ready();
  say(handler_registered{"echo", "p"});
  say(handler_unregistered{"echo", "p"});
  say(event_list{{"echo", "declared by nobody"}});
  EXPECT_EQ(event<node_announcement>()->what, message{(handler_registered{"echo", "p"})});
  EXPECT_EQ(event<node_announcement>()->what, message{(handler_unregistered{"echo", "p"})});
  EXPECT_EQ(event<node_announcement>()->what, message{(event_list{{"echo"}})});
}

TEST_F(ChildProxy, ServingEndsOnTooManyRegisteredHandlers) {
  start();
  make_ready();
  std::vector<char> out;
  for (std::size_t i = 0; i <= registrations_max; ++i)
    ASSERT_FALSE(write_frame(out, handler_registered{"echo", std::to_string(i)}, default_frame_bytes_max));
  // More than a socket takes at once.
  std::jthread sender{[&] { static_cast<void>(::send(child_, out.data(), out.size(), MSG_NOSIGNAL)); }};
  std::optional<node_gone> end;
  while (!end)
    self_->receive([](const node_announcement&) {}, [&](const node_gone& x) { end = x; },
                   caf::after(deadline) >> [&] { end.emplace(); });
  EXPECT_EQ(end->cause.code, errc::protocol_error);
  EXPECT_THAT(end->cause.text, HasSubstr("handlers registered"));
}

TEST_F(ChildProxy, ServingEndsOnASecondHello) {
  start();
  make_ready();
  say(hello{protocol_version, binary_codec, {}});
  EXPECT_EQ(gone().cause.code, errc::protocol_error);
}

TEST_F(ChildProxy, ServingEndsOnAChunk) {
  for (const auto& chunk : {message{chunk_start{1, 10}}, message{chunk_data{1, bytes(10)}}, message{chunk_end{1}}}) {
    start();
    make_ready();
    say(chunk);
    const auto cause = gone().cause;
    EXPECT_EQ(cause.code, errc::protocol_error);
    EXPECT_THAT(cause.text, HasSubstr("does not belong on this link"));
    hang_up();
    caf::anon_send_exit(proxy_, caf::exit_reason::kill);
    self_->wait_for(proxy_);
  }
}

TEST_F(ChildProxy, ServingEndsOnGarbageAfterPassingOnWhatCameBefore) {
  start();
  make_ready();
  std::vector<char> out;
  ASSERT_FALSE(write_frame(out, response{17, {}}, default_frame_bytes_max));
  out.insert(out.end(), {1, 0, 0, 0, 99});
  say(out);
  EXPECT_EQ(event<calls_finished>()->calls.at(0).call, 17U);
  const auto event = gone();
  EXPECT_EQ(event.cause.code, errc::protocol_error);
  EXPECT_TRUE(event.misbehaved);
}

// -- the two ways to end, in either order ---------------------------------------

TEST_F(ChildProxy, LinkLostThenExitedGivesTheStatus) {
  start([](pool_options& x) { x.disconnect_grace = 10s; });
  make_ready();
  assign(1);
  EXPECT_TRUE(hear()); // else end of file may come first
  hang_up();
  exit({true, 9});
  const auto event = gone();
  EXPECT_EQ(event.cause.code, errc::node_died);
  EXPECT_EQ(event.cause.text, "Node closed, code: null, signal: SIGKILL");
  EXPECT_EQ(event.cause.signal, 9);
  EXPECT_EQ(event.cause.node, 7U);
  EXPECT_EQ(event.cause.pid, 4711);
  EXPECT_TRUE(event.served);
  EXPECT_FALSE(event.misbehaved);
}

TEST_F(ChildProxy, LinkLostWithoutAnExitIsADisconnect) {
  start();
  make_ready();
  hang_up();
  const auto event = gone();
  EXPECT_EQ(event.cause.text, "Node disconnected");
  EXPECT_EQ(event.cause.exit_code, -1);
  EXPECT_EQ(event.cause.signal, 0);
  EXPECT_FALSE(event.served);
}

TEST_F(ChildProxy, LinkLostInTheMiddleOfAMessageSaysSo) {
  start();
  make_ready();
  say(std::vector<char>{10, 0, 0, 0, 3});
  hang_up();
  EXPECT_THAT(gone().cause.text, HasSubstr("in the middle of a message"));
}

TEST_F(ChildProxy, LinkLostIgnoresCallsAndShutLink) {
  start([](pool_options& x) { x.disconnect_grace = 10s; });
  make_ready();
  hang_up();
  assign(1);
  caf::anon_send(proxy_, shut_link{});
  exit({false, 0});
  const auto event = gone();
  EXPECT_EQ(event.cause.code, errc::node_died);
  EXPECT_TRUE(event.served) << "a call was lost with it, so that its death is no failed start";
}

TEST_F(ChildProxy, ExitedReadsWhatIsLeftOnTheLink) {
  start([](pool_options& x) { x.disconnect_grace = 10s; });
  make_ready();
  exit({false, 0});
  say(response{17, {}});
  hang_up();
  EXPECT_EQ(event<calls_finished>()->calls.at(0).call, 17U);
  EXPECT_EQ(gone().cause.text, "Node closed, code: 0, signal: null");
}

TEST_F(ChildProxy, ExitedDoesNotWaitForeverForTheLinkToClose) {
  start();
  make_ready();
  exit({false, 1}); // and a grandchild holds the link open
  EXPECT_EQ(gone().cause.exit_code, 1);
}

// -- leaving ------------------------------------------------------------------

TEST_F(ChildProxy, LeavingSendsWhatIsWrittenAndThenEndOfFile) {
  start();
  make_ready();
  assign(1);
  caf::anon_send(proxy_, shut_link{});
  EXPECT_TRUE(hear());
  EXPECT_FALSE(hear()) << "end of file";
  exit({false, 0});
  EXPECT_EQ(gone().cause.exit_code, 0);
}

TEST_F(ChildProxy, LeavingWorksBeforeTheHello) {
  start();
  ASSERT_TRUE(hear());
  caf::anon_send(proxy_, shut_link{});
  EXPECT_FALSE(hear());
  exit({false, 0});
  EXPECT_EQ(gone().node, 7U);
}

TEST_F(ChildProxy, ClosesItsLinkWhenItIsKilled) {
  start();
  make_ready();
  caf::anon_send_exit(proxy_, caf::exit_reason::kill);
  EXPECT_FALSE(hear());
}

} // namespace

} // namespace cluster_channel
