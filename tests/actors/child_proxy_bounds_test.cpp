// What one child can cost the master: names, texts, answers that it does not read, messages beyond an end's limit.

#include <cluster_channel/actors/registration_table.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "child_proxy_fixture.hpp"
#include <cstring>
#include <string>
#include <thread>

namespace cluster_channel {

namespace {

using test::ChildProxy;
using ::testing::HasSubstr;

/// Sends more than a socket takes at once.
class sender {
public:
  sender(int fd, std::vector<char> out)
      : thread_{[fd, out = std::move(out)] {
          for (std::size_t sent = 0; sent < out.size();) {
            const auto n = ::send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
            if (n <= 0)
              return;
            sent += static_cast<std::size_t>(n);
          }
        }} {}

private:
  std::jthread thread_;
};

class ChildProxyBounds : public ChildProxy {
protected:
  /// Drops everything up to the end of the node.
  node_gone end_of_node() {
    std::optional<node_gone> end;
    while (!end)
      self_->receive([](const node_announcement&) {},
                     [this](const child_call& x) {
                       caf::anon_send(proxy_, child_answer{7, x.call.id, bytes(1000)});
                     },
                     [&](const node_gone& x) { end = x; },
                     caf::after(test::deadline) >>
                         [&] {
                           ADD_FAILURE() << "the node did not end";
                           end.emplace();
                         });
    return *end;
  }

  static std::vector<char> frames(std::size_t count, const std::function<message(std::size_t)>& make) {
    std::vector<char> out;
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_FALSE(write_frame(out, make(i), default_frame_bytes_max));
    return out;
  }
};

TEST_F(ChildProxyBounds, HandlersOfSlotsThatNobodyDeclaresAreIgnored) {
  start();
  make_ready();
  say(handler_registered{"declared by nobody", std::string(60'000, 'x')});
  say(handler_unregistered{"declared by nobody", std::string(60'000, 'x')});
  say(handler_registered{"echo", "p"});
  EXPECT_EQ(event<node_announcement>()->what, message{(handler_registered{"echo", "p"})});
}

TEST_F(ChildProxyBounds, AHandlerThatIsRegisteredTwiceIsToldOnce) {
  start();
  make_ready();
  say(handler_registered{"echo", "p"});
  say(handler_registered{"echo", "p"});
  say(handler_registered{"echo", "q"});
  EXPECT_EQ(event<node_announcement>()->what, message{(handler_registered{"echo", "p"})});
  EXPECT_EQ(event<node_announcement>()->what, message{(handler_registered{"echo", "q"})});
}

TEST_F(ChildProxyBounds, LongNamesEndTheNodeBeforeTheirNumberDoes) {
  start();
  make_ready();
  const sender sending{child_, frames(290, [](std::size_t i) {
                         return handler_registered{"echo", std::string(60'000, 'x') + std::to_string(i)};
                       })};
  const auto end = end_of_node();
  EXPECT_EQ(end.cause.code, errc::protocol_error);
  EXPECT_THAT(end.cause.text, HasSubstr("names have more than 16777216 bytes"));
}

TEST_F(ChildProxyBounds, NamesThatAreWithdrawnDoNotCount) {
  start();
  make_ready();
  const auto name = std::string(60'000, 'x');
  const sender sending{child_, frames(570, [&](std::size_t i) -> message {
                         if (i % 2 == 0)
                           return handler_registered{"echo", name};
                         return handler_unregistered{"echo", name};
                       })};
  for (int i = 0; i < 570; ++i)
    ASSERT_TRUE(event<node_announcement>()) << i;
}

TEST_F(ChildProxyBounds, AHelloWithTooManyBytesOfNamesIsRefused) {
  start();
  std::vector<slot_declaration> slots{{"echo", "string -> string"}};
  for (int i = 0; i < 300; ++i)
    slots.push_back({std::string(60'000, 'x') + std::to_string(i), ""});
  const sender sending{child_, frames(1, [&](std::size_t) { return hello{protocol_version, binary_codec, slots}; })};
  const auto end = end_of_node();
  EXPECT_EQ(end.cause.code, errc::protocol_error);
  EXPECT_TRUE(end.permanent);
}

TEST_F(ChildProxyBounds, AHelloThatDoesNotFitIsNotRepeatedWhole) {
  start();
  std::vector<slot_declaration> slots{{"echo", std::string(1'000'000, 's')}};
  for (int i = 0; i < 100; ++i)
    slots.push_back({std::string(50'000, 'x') + std::to_string(i), ""});
  const sender sending{child_, frames(1, [&](std::size_t) { return hello{protocol_version, binary_codec, slots}; })};
  const auto end = end_of_node();
  EXPECT_EQ(end.cause.code, errc::protocol_mismatch);
  EXPECT_LE(end.cause.text.size(), cause_text_bytes_max);
  EXPECT_THAT(end.cause.text, HasSubstr("[cut, 1000000 bytes in all]"));
  EXPECT_THAT(end.cause.text, HasSubstr("Build both from the same declaration")) << "the end is there";
}

TEST_F(ChildProxyBounds, LongTextsOfAFailureAreCut) {
  start();
  make_ready();
  assign(17);
  const sender sending{
      child_, frames(1, [&](std::size_t) {
        return error_message{
            17, {.code = errc::handler_failed, .text = std::string(200'000, 't'), .stack = std::string(300'000, 's')}};
      })};
  const auto ended = event<calls_finished>();
  const auto& what = std::get<failure>(ended->calls.at(0).result);
  EXPECT_EQ(what.text.size(), failure_text_bytes_max);
  EXPECT_THAT(what.text, HasSubstr("ttt... [cut, 200000 bytes in all]"));
  EXPECT_THAT(what.stack, HasSubstr("sss... [cut, 300000 bytes in all]"));
}

TEST_F(ChildProxyBounds, AChildThatDoesNotReadItsAnswersIsCutOff) {
  start([](pool_options& x) { x.unread_bytes_max = 1'000'000; });
  make_ready();
  const sender sending{child_, frames(10'000, [&](std::size_t i) { return request{i, "log", default_param, {}}; })};
  const auto end = end_of_node();
  EXPECT_EQ(end.cause.code, errc::node_died);
  EXPECT_THAT(end.cause.text, HasSubstr("does not read their answers"));
  EXPECT_TRUE(end.misbehaved);
}

TEST_F(ChildProxyBounds, AChildThatDoesNotReadWhyItIsRefusedIsCutOffToo) {
  start([](pool_options& x) {
    x.unread_bytes_max = 1'000'000;
    x.child_calls_max = 1;
  });
  make_ready();
  const sender sending{child_, frames(20'000, [&](std::size_t i) { return request{i, "log", default_param, {}}; })};
  std::optional<node_gone> end;
  while (!end)
    self_->receive([](const child_call&) {}, [&](const node_gone& x) { end = x; });
  EXPECT_THAT(end->cause.text, HasSubstr("does not read their answers"));
}

TEST_F(ChildProxyBounds, AnswersThatAreReadCountNoLonger) {
  start([](pool_options& x) { x.unread_bytes_max = 300'000; });
  make_ready();
  for (call_id id = 0; id < 2000; ++id) {
    say(request{id, "log", default_param, {}});
    ASSERT_TRUE(event<child_call>());
    caf::anon_send(proxy_, child_answer{7, id, bytes(1000)});
    ASSERT_TRUE(hear());
  }
}

TEST_F(ChildProxyBounds, OneLargeAnswerIsNoReasonToCutAChildOff) {
  start([](pool_options& x) { x.unread_bytes_max = 1000; });
  make_ready();
  say(request{1, "log", default_param, {}});
  ASSERT_TRUE(event<child_call>());
  caf::anon_send(proxy_, child_answer{7, 1, bytes(2'000'000)});
  EXPECT_EQ(*hear(), message{(response{1, bytes(2'000'000)})});
}

// -- the limits of the two ends -----------------------------------------------

TEST_F(ChildProxyBounds, TheMastersLimitIsInItsHello) {
  start([](pool_options& x) { x.frame_bytes_max = 123'456; });
  EXPECT_EQ(std::get<hello>(*hear()).frame_bytes_max, 123'456U);
}

TEST_F(ChildProxyBounds, ACallBeyondTheChildsLimitFailsAlone) {
  start();
  say(hello{protocol_version, binary_codec, {{"echo", "string -> string"}}, 2000});
  ASSERT_TRUE(event<node_hello>());
  ASSERT_TRUE(hear());
  assign_calls msg;
  msg.calls.push_back({1, "echo", default_param, bytes(3000)});
  msg.calls.push_back({2, "echo", default_param, bytes(10)});
  caf::anon_send(proxy_, std::move(msg));
  const auto ended = event<calls_finished>();
  ASSERT_EQ(ended->calls.size(), 1U);
  EXPECT_EQ(std::get<failure>(ended->calls[0].result).code, errc::message_too_large);
  EXPECT_EQ(std::get<request>(*hear()).id, 2U);
}

TEST_F(ChildProxyBounds, AnAnswerBeyondTheChildsLimitFailsTheCallOfTheChild) {
  start();
  say(hello{protocol_version, binary_codec, {{"echo", "string -> string"}}, 2000});
  ASSERT_TRUE(event<node_hello>());
  ASSERT_TRUE(hear());
  say(request{5, "log", default_param, {}});
  ASSERT_TRUE(event<child_call>());
  caf::anon_send(proxy_, child_answer{7, 5, bytes(3000)});
  const auto answer = hear();
  ASSERT_TRUE(answer && std::holds_alternative<error_message>(*answer));
  EXPECT_EQ(std::get<error_message>(*answer).what.code, errc::message_too_large);
}

TEST_F(ChildProxyBounds, ARequestLargerThanTheBufferIsTakenAlone) {
  start([](pool_options& x) { x.buffer_bytes_max = 1000; });
  make_ready();
  say(request{1, "log", default_param, bytes(5000)});
  EXPECT_EQ(event<child_call>()->call.id, 1U);
  say(request{2, "log", default_param, bytes(10)});
  const auto refused = hear();
  ASSERT_TRUE(refused && std::holds_alternative<error_message>(*refused));
  EXPECT_EQ(std::get<error_message>(*refused).what.code, errc::buffer_full);
}

} // namespace

} // namespace cluster_channel
