// What a child sends before an answer is handled before the call ends: real processes, and the threads of the master.

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <gtest/gtest.h>

#include "lifetimes_events.hpp"
#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;

constexpr auto event_wait = 30s;

/// A pool of lifetimes_program, whose child sends `note` while it answers "note".
class EventsBeforeAnswers : public ::testing::Test {
public:
  static master_options options() {
    return {.executable = CLUSTER_CHANNEL_LIFETIMES_PROGRAM, .nodes = 2, .timeout = no_timeout};
  }

  void make(master_options with = options()) {
    channel = std::make_unique<master_channel>(std::move(with));
    bus = std::make_unique<event_bus<lifetimes::events>>(*channel);
  }

  std::unique_ptr<master_channel> channel;
  std::unique_ptr<event_bus<lifetimes::events>> bus;
};

TEST_F(EventsBeforeAnswers, AreHandledBeforeTheCallEnds) {
  make();
  std::atomic<int> handled{0};
  bus->note.on([&](const std::string&) {
    std::this_thread::yield(); // a chance for the answer to overtake it
    ++handled;
  });
  for (int i = 1; i <= 500; ++i) {
    ASSERT_TRUE(bus->echo("note").get(event_wait));
    ASSERT_EQ(handled, i);
  }
}

TEST_F(EventsBeforeAnswers, LetAHandlerWaitForACallToThePool) {
  make();
  std::promise<bool> answered;
  std::atomic<bool> first{true};
  bus->note.on([&](const std::string&) {
    if (first.exchange(false))
      answered.set_value(bus->echo("note").get(event_wait).engaged()); // of which the event waits behind this handler
  });
  EXPECT_TRUE(bus->echo("note").get(event_wait));
  EXPECT_TRUE(answered.get_future().get());
}

TEST_F(EventsBeforeAnswers, HoldUpACallNoLongerThanTheyMay) {
  auto with = options();
  with.answer_hold_max = 50ms;
  make(std::move(with));
  std::promise<void> call_ended;
  bus->note.on([&, ended = call_ended.get_future().share()](const std::string&) { ended.wait(); });
  EXPECT_TRUE(bus->echo("note").get(event_wait)) << "although its handler waits for this";
  call_ended.set_value();
}

} // namespace

} // namespace cluster_channel
