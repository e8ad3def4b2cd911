// Answers that wait for the handlers of what their node sent before: the router, with a scripted courier and nodes, in
// virtual time.

#include <cluster_channel/actors/router.hpp>
#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Has always something to handle, and brings the word when the test says so.
class busy_courier final : public bus_courier {
public:
  void take(child_call&&) override {}
  void take(pool_announcement&&) override {}
  bool follow(node_id node, const std::vector<call_id>& answered, bool after_others) override {
    followed.push_back({node, answered});
    after.push_back(after_others);
    return busy;
  }

  bool busy = true;
  std::vector<answers_may_go> followed;
  std::vector<bool> after;
};

class recording_sink final : public answer_sink {
public:
  explicit recording_sink(std::vector<std::string>& ends) : ends_{ends} {}
  void answered(answer&& x) noexcept override {
    if (const auto* what = std::get_if<failure>(&x))
      ends_.push_back(to_string(what->code));
    else
      ends_.push_back(*decode<std::string>(std::get<bytes>(x)));
  }

private:
  std::vector<std::string>& ends_;
};

class AnswerHold : public ::testing::Test {
public:
  void make(pool_options options = {.timeout = 60s}) {
    options.executable = "none";
    timeout = options.timeout;
    options.nodes = 2;
    router = spawn_scheduled_router(system, options);
    const auto supervisor = system.spawn([](caf::event_based_actor*) -> caf::behavior {
      return {[](const launch_nodes&) {}, [](const router_drained&) {}};
    });
    proxy = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const assign_calls& msg) {
        for (const auto& call : msg.calls)
          given.push_back(call.id);
      }};
    });
    caf::anon_send(router, attach_supervisor{supervisor});
    caf::anon_send(router, attach_bus{courier});
    caf::anon_send(router, node_ready{1, 4711, proxy, {{"echo"}}});
    caf::anon_send(router, node_announcement{1, handler_registered{"echo", default_param}});
    run();
  }

  void TearDown() override {
    for (const auto& actor : {router, proxy})
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    run();
  }

  void run() { coordinator().run(); }
  void advance(std::chrono::milliseconds time) {
    coordinator().advance_time(time);
    run();
  }
  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  }

  void call() {
    auto call = std::make_shared<pending_call>("echo", default_param, bytes{}, std::make_shared<recording_sink>(ends));
    call->timeout = timeout;
    caf::anon_send(router, std::move(call));
    run();
  }
  void answer(call_id id, const std::string& text) {
    calls_finished msg{1, {}};
    msg.calls.push_back({id, encode(text)});
    caf::anon_send(router, std::move(msg));
    run();
  }

  test::system_config config;
  caf::actor_system system{config};
  const std::shared_ptr<busy_courier> courier = std::make_shared<busy_courier>();
  caf::actor router;
  caf::actor proxy;
  caf::timespan timeout = no_timeout;
  std::vector<call_id> given;
  std::vector<std::string> ends;
};

TEST_F(AnswerHold, EndsWithTheWordOfTheCourier) {
  make();
  call();
  answer(1, "one");
  EXPECT_THAT(ends, IsEmpty());
  caf::anon_send(router, courier->followed.at(0));
  run();
  EXPECT_THAT(ends, ElementsAre("one"));
}

TEST_F(AnswerHold, LeavesTheNodeFreeForTheNextCall) {
  make();
  call();
  answer(1, "one");
  call();
  EXPECT_THAT(given, ElementsAre(1U, 2U));
}

TEST_F(AnswerHold, KeepsTheOrderOfTheAnswersOfANode) {
  make();
  call();
  answer(1, "one");
  call();
  answer(2, "two");
  EXPECT_THAT(courier->after, ElementsAre(false, true));
  for (const auto& word : courier->followed)
    caf::anon_send(router, word);
  run();
  EXPECT_THAT(ends, ElementsAre("one", "two"));
}

TEST_F(AnswerHold, EndsAfterTheLongestTime) {
  make({.timeout = no_timeout, .answer_hold_max = 3s});
  call();
  answer(1, "one");
  advance(2999ms);
  EXPECT_THAT(ends, IsEmpty());
  advance(1ms);
  EXPECT_THAT(ends, ElementsAre("one"));
}

TEST_F(AnswerHold, EndsWithTheAnswerAtTheDeadlineOfTheCall) {
  make({.timeout = 2s, .answer_hold_max = 1h});
  call();
  answer(1, "one");
  advance(2s);
  EXPECT_THAT(ends, ElementsAre("one"));
}

TEST_F(AnswerHold, EndsAllAtOnceWhenAHandlerWaits) {
  make();
  call();
  answer(1, "one");
  call();
  answer(2, "two");
  caf::anon_send(router, answers_may_go{});
  run();
  EXPECT_THAT(ends, ElementsAre("one", "two"));
}

TEST_F(AnswerHold, IsNotWhenThereIsNothingToHandleOrItIsSwitchedOff) {
  make({.answer_hold_max = 0ms});
  call();
  answer(1, "one");
  EXPECT_THAT(courier->followed, IsEmpty());
  EXPECT_THAT(ends, ElementsAre("one"));
}

TEST_F(AnswerHold, OutlivesTheNodeAndEndsWithTheAnswerWhenThePoolIsClosed) {
  make({.timeout = no_timeout, .answer_hold_max = 1h});
  call();
  answer(1, "one");
  caf::anon_send(router, node_gone{.node = 1, .cause = {.code = errc::node_died}});
  run();
  EXPECT_THAT(ends, IsEmpty());
  caf::anon_send(router, drain_router{1s});
  run();
  EXPECT_THAT(ends, IsEmpty());
  advance(1s);
  EXPECT_THAT(ends, ElementsAre("one"));
}

} // namespace

} // namespace cluster_channel
