// What a bus on a channel promises when the channel, its user's functions or the bus itself misbehaves or goes.
#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <boost/describe.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct stubborn {
  int x = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stubborn& x) {
  if (x.x != 0)
    throw std::runtime_error("not today");
  return f(x.x);
}

struct link_events {
  slot<int, int> ask;
  slot<std::string> note;
  slot<int, int> now{{.no_buffer = true}};
  slot<stubborn> refuse;
};
BOOST_DESCRIBE_STRUCT(link_events, (), (ask, note, now, refuse))

using bus_type = event_bus<link_events>;

/// Runs its functions when the test says so.
class hand_timers final : public timer_service {
public:
  timer_id schedule(caf::timespan, std::function<void()> f) override {
    if (fails)
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    timers_.emplace(++last_id_, std::move(f));
    return last_id_;
  }

  void cancel(timer_id timer) noexcept override { timers_.erase(timer); }

  /// Runs what is scheduled now, whatever its time.
  void run() {
    for (auto& [id, f] : std::exchange(timers_, {}))
      f();
  }

  bool idle() const noexcept { return timers_.empty(); }

  bool fails = false;

private:
  std::map<timer_id, std::function<void()>> timers_;
  timer_id last_id_ = 0;
};

/// A channel that does what the test says, and keeps the kinds of what it sent.
class odd_channel final : public generic_channel {
public:
  odd_channel() : generic_channel{no_timeout} {}
  ~odd_channel() override { detach(); }

  using generic_channel::connected;
  using generic_channel::detach;
  using generic_channel::disconnected;
  using generic_channel::message_received;

  std::function<caf::error(const message&)> on_send; // what it refuses is not kept
  std::function<bool()> on_reconnect = [] { return false; };
  std::vector<std::string> sent;

private:
  caf::error send(message msg) override {
    if (on_send)
      if (auto err = on_send(msg))
        return err;
    sent.push_back(std::visit(kind{}, msg));
    return {};
  }

  bool reconnect() override { return on_reconnect(); }

  struct kind {
    std::string operator()(const hello&) const { return "hello"; }
    std::string operator()(const request& x) const { return "request " + x.slot; }
    std::string operator()(const response&) const { return "response"; }
    std::string operator()(const error_message& x) const { return "error " + x.what.text; }
    std::string operator()(const handler_registered& x) const { return "registered " + x.slot; }
    std::string operator()(const handler_unregistered& x) const { return "unregistered " + x.slot; }
    std::string operator()(const event_list&) const { return "event list"; }
    template <class Other>
    std::string operator()(const Other&) const {
      return "chunk";
    }
  };
};

template <class T>
std::string outcome(call<T>& x) {
  const auto result = x.get(0ms);
  if (result)
    return "done";
  const auto what = failure_of(result.error());
  if (what.text == "no answer within the deadline given to get")
    return "pending";
  return to_string(what.code) + ": " + what.text;
}

template <class T>
std::string outcome(call<T>&& x) {
  return outcome(x);
}

/// Refuses the messages of type `T` while `refuses`.
template <class T>
std::function<caf::error(const message&)> refuse_while(const bool& refuses) {
  return [&refuses](const message& msg) -> caf::error {
    if (refuses && std::holds_alternative<T>(msg))
      return make_error(errc::buffer_full, "no room");
    return {};
  };
}

// -- lifetimes ----------------------------------------------------------------

TEST(MessageLink, HoldsNothingOfABusOnceBusAndChannelAreGone) {
  for (const bool bus_first : {true, false})
    for (const bool chunked : {true, false}) {
      auto timers = std::make_shared<hand_timers>();
      const std::weak_ptr<timer_service> watched = timers;
      auto link = std::make_unique<odd_channel>();
      std::optional<chunked_channel> chunks;
      if (chunked)
        chunks.emplace(*link, chunk_options{});
      auto* far = chunked ? static_cast<channel*>(&*chunks) : link.get();
      auto bus = std::make_unique<bus_type>(bus_options{.channels = {far}, .timers = std::move(timers)});
      link->connected();
      link->message_received(handler_registered{"ask"});
      auto open = bus->ask(1, {.timeout = 1s});
      auto waits = bus->note("x");
      if (bus_first)
        bus.reset();
      else
        link.reset();
      bus.reset();
      link.reset();
      EXPECT_TRUE(watched.expired()) << bus_first << chunked;
      EXPECT_THAT(outcome(open), HasSubstr("channel_closed"));
      EXPECT_THAT(outcome(waits), HasSubstr("channel_closed"));
    }
}

TEST(MessageLink, HoldsNothingOfABusThatComesAfterItsEnd) {
  auto timers = std::make_shared<hand_timers>();
  const std::weak_ptr<timer_service> watched = timers;
  odd_channel link;
  link.connected();
  link.detach();
  {
    const bus_type bus{{.channels = {&link}, .timers = std::move(timers)}};
    EXPECT_THAT(outcome(bus.ask(1)), HasSubstr("channel_closed"));
  }
  EXPECT_TRUE(watched.expired());
}

TEST(WaitingCalls, EndWithTheirBusEvenIfTheirTimeIsUpJustThen) {
  const auto timers = std::make_shared<hand_timers>();
  odd_channel link;
  auto bus = std::make_unique<bus_type>(bus_options{.channels = {&link}, .timers = timers});
  auto first = bus->ask(1, {.param = {"x"}, .wait_timeout = 1s});
  auto second = bus->ask(2, {.param = {"y"}, .wait_timeout = 1s});
  std::string outcome_of_first;
  first.on_result([&](const caf::expected<int>& x) {
    outcome_of_first = describe(x.error());
    timers->run();
  });
  bus.reset();
  EXPECT_THAT(outcome_of_first, HasSubstr("the event bus of this slot is gone"));
  EXPECT_EQ(outcome(second), "channel_closed: the event bus of this slot is gone");
}

// -- waiting calls ------------------------------------------------------------

TEST(WaitingCalls, AreNotSentByTheThreadThatReadsForAsLongAsOthersCall) {
  std::atomic<long> sent{0};
  std::atomic<long> made{0};
  std::atomic<long> ended{0};
  std::atomic<bool> returned{false};
  std::atomic<bool> captured{false};
  odd_channel link;
  const bus_type bus{{.channels = {&link}, .buffer_calls_max = 1000}};
  link.connected();
  link.on_send = [&](const message& msg) -> caf::error {
    if (std::holds_alternative<request>(msg)) {
      ++sent;
      const auto before = made.load();
      while (made == before && !returned && !captured) // sending is slower than calling
        std::this_thread::yield();
    }
    return make_error(errc::message_too_large, "thrown away"); // `sent` of the channel is not thread-safe
  };
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      while (!returned && !captured) {
        bus.note("x").on_result([&](const caf::expected<void>&) { ++ended; });
        ++made;
        if (std::chrono::steady_clock::now() > deadline)
          captured = true;
      }
    });
  while (made < 2000)
    std::this_thread::yield();
  link.message_received(handler_registered{"note"});
  returned = true;
  for (auto& each : callers)
    each.join();
  EXPECT_FALSE(captured);
  EXPECT_GE(sent, 1000);
  while (ended < made && std::chrono::steady_clock::now() < deadline + 30s)
    std::this_thread::yield();
  EXPECT_EQ(ended, made) << "what came while others were sent";
}

} // namespace

} // namespace cluster_channel
