// Slots and CAF actors together, under CAF's test coordinator.

#include <cluster_channel/tests/test_kit.hpp>

#include <caf/typed_event_based_actor.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_events.hpp"
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

using test_pool = test::pool<test_events>;
using adder_actor = caf::typed_actor<caf::replies_to<sum_request>::with<sum_response>>;

adder_actor::behavior_type adder(adder_actor::pointer) {
  return {[](const sum_request& x) -> caf::result<sum_response> {
    if (x.a < 0)
      return caf::make_error(caf::sec::runtime_error, "negative");
    return sum_response{x.a + x.b};
  }};
}

// -- actors that call slots ---------------------------------------------------

TEST(CallThen, ContinuesInsideTheActor) {
  test_pool pool;
  pool.child().add.on([](const sum_request& x) { return sum_response{x.a + x.b}; });
  int sum = 0;
  const caf::event_based_actor* continued_in = nullptr;
  const auto caller = pool.system().spawn([&](caf::event_based_actor* self) {
    pool.bus().add({20, 22}).then(
        self,
        [&, self](const sum_response& x) {
          sum = x.sum;
          continued_in = self->current_sender() ? nullptr : self;
        },
        [](caf::error& err) { FAIL() << describe(err); });
  });
  pool.run();
  EXPECT_EQ(sum, 42);
  EXPECT_NE(continued_in, nullptr);
}

TEST(CallThen, GivesErrorsToTheActor) {
  test_pool pool;
  pool.script_all({.dies_of_call = 1});
  pool.child().ping.on([] {});
  caf::error error;
  pool.system().spawn([&](caf::event_based_actor* self) {
    pool.bus().ping().then(
        self, [] { FAIL() << "the node died"; }, [&](caf::error& err) { error = err; });
  });
  pool.run();
  EXPECT_EQ(code_of(error), errc::node_died);
  EXPECT_EQ(failure_of(error).signal, SIGKILL);
}

TEST(CallThen, ContinuesWithoutAValueForAnEvent) {
  test_pool pool;
  pool.child().log.on([](const std::string&) {});
  bool done = false;
  pool.system().spawn([&](caf::event_based_actor* self) {
    pool.bus().log("x").then(
        self, [&] { done = true; }, [](caf::error& err) { FAIL() << describe(err); });
  });
  pool.run();
  EXPECT_TRUE(done);
}

TEST(CallThen, TellsAResponseThatDoesNotDecode) {
  test_pool pool;
  // A node whose `count` answers with a string: only raw messages get past the compiler.
  pool.child().count.on([] { return 1; });
  caf::error error;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(pool.router(), caf::infinite, slot_request{"count", default_param, bytes(3)})
        .then([](const slot_response&) { FAIL() << "count takes no data"; }, [&](caf::error& err) { error = err; });
  });
  pool.run();
  EXPECT_EQ(code_of(error), errc::bad_payload);
}

TEST(CallThen, DoesNothingIfTheActorHasEnded) {
  test_pool pool;
  pool.script_all({.answers_after = 1s});
  pool.child().ping.on([] {});
  bool continued = false;
  pool.system().spawn([&](caf::event_based_actor* self) {
    pool.bus().ping().then(
        self, [&] { continued = true; }, [&](caf::error&) { continued = true; });
    self->quit();
  });
  pool.advance(2s);
  EXPECT_FALSE(continued);
}

// -- slots as actors ----------------------------------------------------------

TEST(SlotActor, AnswersRequests) {
  test_pool pool;
  pool.child().add.on([](const sum_request& x) { return sum_response{x.a + x.b}; });
  const auto handle = pool.bus().add.as_actor(pool.system());
  int sum = 0;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, sum_request{1, 2}).then([&](const sum_response& x) { sum = x.sum; });
  });
  pool.run();
  EXPECT_EQ(sum, 3);
}

TEST(SlotActor, FailsRequestsWithTheErrorOfTheCall) {
  test_pool pool;
  pool.child().add.on([](const sum_request&) -> sum_response { throw std::runtime_error("no sum today"); });
  const auto handle = pool.bus().add.as_actor(pool.system());
  caf::error error;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, sum_request{1, 2})
        .then([](const sum_response&) { FAIL() << "the handler throws"; }, [&](caf::error& err) { error = err; });
  });
  pool.run();
  EXPECT_EQ(code_of(error), errc::handler_failed);
}

TEST(SlotActor, ObeysTheTimeoutOfTheRequest) {
  test_pool pool;
  pool.script_all({.answers_after = 3s});
  pool.child().add.on([](const sum_request& x) { return sum_response{x.a + x.b}; });
  const auto handle = pool.bus().add.as_actor(pool.system());
  caf::error error;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(handle, 1s, sum_request{1, 2})
        .then([](const sum_response&) { FAIL() << "too late"; }, [&](caf::error& err) { error = err; });
  });
  pool.advance(1s);
  EXPECT_EQ(error, caf::sec::request_timeout);
  EXPECT_EQ(code_of(error), errc::timed_out);
}

TEST(SlotActor, StandsForASlotWithoutRequestAndResponse) {
  test_pool pool;
  int pings = 0;
  pool.child().ping.on([&] { ++pings; });
  const auto handle = pool.bus().ping.as_actor(pool.system());
  bool done = false;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, caf::unit).then([&] { done = true; });
  });
  pool.run();
  EXPECT_TRUE(done);
  EXPECT_EQ(pings, 1);
}

TEST(SlotActor, ComposesWithOtherActors) {
  test_pool pool;
  pool.child().add.on([](const sum_request& x) { return sum_response{x.a + x.b}; });
  const auto slot_actor = pool.bus().add.as_actor(pool.system());
  // An actor that delegates to the slot: its own requester gets the child's answer.
  const auto front = pool.system().spawn([slot_actor](adder_actor::pointer self) -> adder_actor::behavior_type {
    return {[=](const sum_request& x) { return self->delegate(slot_actor, sum_request{x.a * 10, x.b}); }};
  });
  int sum = 0;
  pool.system().spawn([&](caf::event_based_actor* self) {
    self->request(front, caf::infinite, sum_request{1, 2}).then([&](const sum_response& x) { sum = x.sum; });
  });
  pool.run();
  EXPECT_EQ(sum, 12);
}

TEST(SlotActor, ManyRequestsAreAllAnswered) {
  test_pool pool{{.nodes = 3, .calls_per_node = 2}};
  pool.child().add.on([](const sum_request& x) { return sum_response{x.a + x.b}; });
  const auto handle = pool.bus().add.as_actor(pool.system());
  int answers = 0;
  pool.system().spawn([&](caf::event_based_actor* self) {
    for (int i = 0; i < 500; ++i)
      self->request(handle, caf::infinite, sum_request{i, 1}).then([&, i](const sum_response& x) {
        EXPECT_EQ(x.sum, i + 1);
        ++answers;
      });
  });
  pool.run();
  EXPECT_EQ(answers, 500);
}

// -- actors that handle slots -------------------------------------------------

TEST(ActorHandler, AnswersACall) {
  test_pool pool;
  pool.child().add.on(pool.system().spawn(adder));
  auto call = pool.bus().add({20, 22});
  pool.run();
  EXPECT_EQ(call.get(0ms)->sum, 42);
}

TEST(ActorHandler, MayBeDynamicallyTyped) {
  test_pool pool;
  pool.child().echo.on(pool.system().spawn(
      [](caf::event_based_actor*) -> caf::behavior { return {[](const std::string& x) { return x + "!"; }}; }));
  auto call = pool.bus().echo("hey");
  pool.run();
  EXPECT_EQ(*call.get(0ms), "hey!");
}

TEST(ActorHandler, FailsTheCallWithItsError) {
  test_pool pool;
  pool.child().add.on(pool.system().spawn(adder));
  auto call = pool.bus().add({-1, 2});
  pool.run();
  auto result = call.get(0ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(code_of(result.error()), errc::handler_failed);
  EXPECT_THAT(failure_of(result.error()).text, HasSubstr("negative"));
}

TEST(ActorHandler, ThatHasEndedFailsTheCall) {
  test_pool pool;
  const auto handler = pool.system().spawn(adder);
  pool.child().add.on(handler);
  caf::anon_send_exit(handler, caf::exit_reason::kill);
  pool.run();
  auto call = pool.bus().add({1, 2});
  pool.run();
  auto result = call.get(0ms);
  ASSERT_FALSE(result);
}

TEST(ActorHandler, MayBeASlotOfAnotherBus) {
  test_pool far;
  far.child().add.on([](const sum_request& x) { return sum_response{x.a + x.b}; });
  event_bus<test_events> near;
  near.add.on(far.bus().add.as_actor(far.system()));
  auto call = near.add({1, 2});
  far.run();
  EXPECT_EQ(call.get(0ms)->sum, 3);
}

} // namespace

} // namespace cluster_channel
