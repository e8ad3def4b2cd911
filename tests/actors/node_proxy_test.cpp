// The proxy of a child that speaks Node's IPC: a real socket whose far end the test holds, lines instead of frames.

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/serialization/codec.hpp>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto json_event_wait = 10s;

class NodeProxy : public ::testing::Test {
protected:
  void start(std::chrono::milliseconds start_timeout = json_event_wait) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    child_ = fds[1];
    json_forms forms;
    forms["echo"] = json_form_of<std::string, std::string>();
    forms["log"] = json_form_of<std::string, void>();
    auto settings = std::make_shared<link_settings>();
    settings->options.executable = "child.js";
    settings->options.codec = message_codec::json;
    settings->options.start_timeout = start_timeout;
    settings->greeting = {protocol_version, binary_codec, {{"echo", "string -> string"}, {"log", "string -> void"}}};
    settings->forms = [known = std::make_shared<const json_forms>(std::move(forms))] { return known; };
    // This scoped actor stands for the supervisor as well as for the router.
    const auto self = caf::actor_cast<caf::actor>(self_);
    proxy_ = spawn_child_proxy(system_, self, self, {7, 4711, fds[0]}, settings);
  }

  ~NodeProxy() override {
    hang_up();
    if (proxy_) {
      caf::anon_send_exit(proxy_, caf::exit_reason::kill);
      self_->wait_for(proxy_);
    }
  }

  void hang_up() {
    if (child_ >= 0)
      ::close(std::exchange(child_, -1));
  }

  void say(const std::string& line) {
    const auto text = line + "\n";
    ASSERT_EQ(::send(child_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

  void register_handler(const std::string& slot) {
    say(R"({"type":"handler_registered","slotName":")" + slot + R"(","param":"$_DEFAULT_$"})");
  }

  /// The next line from the proxy; empty at end of file.
  std::string hear() {
    for (;;) {
      if (const auto end = heard_.find('\n'); end != std::string::npos) {
        auto result = heard_.substr(0, end);
        heard_.erase(0, end + 1);
        return result;
      }
      std::array<char, 4096> buffer;
      pollfd readable{child_, POLLIN, 0};
      const auto n = ::poll(&readable, 1, 10'000) > 0 ? ::read(child_, buffer.data(), buffer.size()) : 0;
      if (n <= 0)
        return {};
      heard_.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }

  template <class T>
  T event() {
    std::optional<T> result;
    self_->receive([&](T& x) { result = std::move(x); },
                   caf::after(json_event_wait) >> [] { ADD_FAILURE() << "no event came"; });
    return result ? std::move(*result) : T{};
  }

  void assign(call_id id, const std::string& slot, const std::string& text) {
    assign_calls msg;
    msg.calls.push_back({id, slot, default_param, encode(text)});
    caf::anon_send(proxy_, std::move(msg));
  }

  failure refused() {
    auto event = this->event<calls_finished>();
    const auto* what = event.calls.empty() ? nullptr : std::get_if<failure>(&event.calls.front().result);
    EXPECT_TRUE(what);
    return what ? *what : failure{};
  }

  actor_system_config config_;
  caf::actor_system system_{config_};
  caf::scoped_actor self_{system_};
  caf::actor proxy_;
  std::string heard_;
  int child_ = -1;
};

TEST_F(NodeProxy, TheFirstMessageStandsForAHelloOfTheMastersOwnSlots) {
  start();
  register_handler("echo");
  EXPECT_THAT(event<node_hello>().slots.value(), ElementsAre("echo", "log"));
  const auto said = event<node_announcement>();
  EXPECT_EQ(std::get<handler_registered>(said.what).slot, "echo");
}

TEST_F(NodeProxy, CallsGoOutAsLinesAndAnswersComeBack) {
  start();
  register_handler("echo");
  event<node_hello>();
  event<node_announcement>();
  assign(5, "echo", "hi");
  EXPECT_EQ(hear(), R"({"type":"request","slotName":"echo","param":"$_DEFAULT_$","id":"5","data":"hi"})");
  say(R"({"type":"response","slotName":"echo","param":"$_DEFAULT_$","id":"5","data":"HI"})");
  const auto answers = event<calls_finished>();
  ASSERT_EQ(answers.calls.size(), 1U);
  EXPECT_EQ(answers.calls[0].call, 5U);
  EXPECT_EQ(*decode<std::string>(std::get<bytes>(answers.calls[0].result)), "HI");
}

TEST_F(NodeProxy, ACallThatComesBeforeItsHandlerIsKeptUntilThatIsThere) {
  start();
  register_handler("log");
  event<node_hello>();
  event<node_announcement>();
  assign(5, "echo", "early");
  register_handler("echo");
  EXPECT_THAT(hear(), HasSubstr("\"id\":\"5\""));
}

TEST_F(NodeProxy, ACallWhoseHandlerDoesNotComeInTimeFails) {
  start(50ms);
  register_handler("log");
  event<node_hello>();
  event<node_announcement>();
  assign(5, "echo", "early");
  const auto what = refused();
  EXPECT_EQ(what.code, errc::no_handler);
  EXPECT_EQ(what.text, "no handler for slot echo with param $_DEFAULT_$");
  assign(6, "echo", "late");
  EXPECT_EQ(refused().code, errc::no_handler);
  register_handler("echo"); // late, but there
  event<node_announcement>();
  assign(7, "echo", "now");
  EXPECT_THAT(hear(), HasSubstr("\"id\":\"7\""));
}

TEST_F(NodeProxy, ACallOfAnIgnoredSlotFailsAtOnce) {
  start();
  say(R"({"type":"event_list","ignoredEvents":["echo"]})");
  event<node_hello>();
  event<node_announcement>();
  assign(5, "echo", "x");
  EXPECT_EQ(refused().code, errc::event_ignored);
}

TEST_F(NodeProxy, AValueWithoutJsonFailsItsCallAlone) {
  start();
  register_handler("echo");
  event<node_hello>();
  event<node_announcement>();
  assign(5, "echo", "\xFF");
  EXPECT_EQ(refused().code, errc::bad_payload);
  assign(6, "echo", "fine");
  EXPECT_THAT(hear(), HasSubstr("\"id\":\"6\""));
}

TEST_F(NodeProxy, WhatIsNoJsonEndsTheNode) {
  start();
  register_handler("echo");
  event<node_hello>();
  event<node_announcement>();
  say("{nonsense");
  const auto gone = event<node_gone>();
  EXPECT_EQ(gone.cause.code, errc::protocol_error);
  EXPECT_TRUE(gone.misbehaved);
}

TEST_F(NodeProxy, AChildThatSaysNothingInTimeDoesNotStart) {
  start(20ms);
  const auto gone = event<node_gone>();
  EXPECT_EQ(gone.cause.code, errc::launch_failed);
  EXPECT_THAT(gone.cause.text, HasSubstr("no message from child.js within 20 ms"));
}

TEST_F(NodeProxy, AnEndBeforeTheFirstMessageSaysWhatIsMissing) {
  start();
  caf::anon_send(proxy_, process_exited{7, {false, 1}});
  hang_up();
  EXPECT_THAT(event<node_gone>().cause.text, HasSubstr("does child.js make an event bus"));
}

TEST_F(NodeProxy, CallsOfTheChildAreAnsweredWithTheirOwnIds) {
  start();
  say(R"({"type":"request","slotName":"echo","param":"p","id":"abc","data":"x"})");
  event<node_hello>();
  const auto call = event<child_call>();
  EXPECT_EQ(call.call.param, "p");
  EXPECT_EQ(*decode<std::string>(call.call.data), "x");
  caf::anon_send(proxy_, child_answer{7, call.call.id, encode(std::string{"y"})});
  EXPECT_EQ(hear(), R"({"type":"response","slotName":"echo","param":"p","id":"abc","data":"y"})");
}

} // namespace

} // namespace cluster_channel
