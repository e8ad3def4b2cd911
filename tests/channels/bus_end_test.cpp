// The end of a bus, one that could not be made, and what its parts cost when there are many.

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/channels/waiting_calls.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hand_channel.hpp"
#include "test_events.hpp"
#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using test::hand_channel;
using ::testing::ElementsAre;

using test_bus = event_bus<test_events>;

// -- the end ------------------------------------------------------------------

TEST(EndOfABus, EndsWaitingCallsWhileAHandlerIsInsideIt) {
  hand_channel link, busy;
  auto bus = std::make_unique<test_bus>(bus_options{.channels = {&link, &busy}});
  link.connected();
  busy.connected();
  std::promise<void> inside;
  errc code = errc::none;
  bus->count.on([&, slots = bus.get()] {
    auto waits = slots->log("for a handler");
    inside.set_value();
    const auto result = waits.get(1h);
    code = result ? errc::none : code_of(result.error());
    return 1;
  });
  std::thread reader{[&] { link.message_received(request{1, "count", default_param, {}}); }};
  inside.get_future().wait();
  bus.reset();
  reader.join();
  EXPECT_EQ(code, errc::channel_closed);
}

TEST(EndOfABus, EndsWaitingCallsBeforeItReturns) {
  hand_channel link;
  auto bus = std::make_unique<test_bus>(link);
  auto waits = bus->log("x");
  auto waits_too = bus->count.all({parameter{"p"}});
  bus.reset();
  const auto one = waits.get(0ms);
  ASSERT_FALSE(one);
  EXPECT_EQ(code_of(one.error()), errc::channel_closed);
  const auto other = waits_too.get(0ms);
  ASSERT_FALSE(other);
  EXPECT_EQ(code_of(other.error()), errc::channel_closed);
}

TEST(EndOfABus, RunsNoHandlerForCallsThatWaited) {
  hand_channel link, other;
  auto bus = std::make_unique<test_bus>(bus_options{.channels = {&link, &other}});
  link.connected();
  other.connected();
  other.message_received(event_list{{"count", "log"}});
  int runs = 0;
  bus->log.on([&](const std::string&) { ++runs; });
  auto first = bus->log("ends the bus");
  auto second = bus->log("waits behind it");
  first.on_result([&](const caf::expected<void>&) { bus.reset(); });
  link.message_received(event_list{{"log"}}); // both could go
  EXPECT_EQ(runs, 1);
  const auto result = second.get(0ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(code_of(result.error()), errc::channel_closed);
}

TEST(EndOfABus, RefusesCallsOfTheFarEndWhileAHandlerIsInsideIt) {
  hand_channel link;
  auto bus = std::make_unique<test_bus>(link);
  link.connected();
  int runs = 0;
  bus->ping.on([&] { ++runs; });
  bus->count.on([&] {
    bus.reset();
    link.sent.clear();
    link.message_received(request{2, "ping", default_param, {}});
    return 1;
  });
  link.message_received(request{1, "count", default_param, {}});
  EXPECT_EQ(runs, 0);
  ASSERT_FALSE(link.sent.empty());
  const auto* answer = std::get_if<error_message>(&link.sent.front());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->id, 2U);
  EXPECT_EQ(answer->what.code, errc::channel_closed);
}

// -- a bus that cannot be made ------------------------------------------------

class refusing_channel final : public channel {
public:
  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener>) override {
    throw std::runtime_error("there is no far end");
  }
};

TEST(ABusThatCannotBeMade, LeavesItsOtherChannelsUsable) {
  hand_channel link;
  chunked_channel chunked{link};
  link.connected();
  refusing_channel refuses;
  EXPECT_THROW((test_bus{{.channels = {&chunked, &refuses}, .ignored_events = {"echo"}}}), std::runtime_error);
  for (const auto& msg : link.sent)
    EXPECT_TRUE(std::holds_alternative<hello>(msg)); // nothing else was said for it
  test_bus bus{chunked};
  link.message_received(handler_registered{"ping", default_param});
  link.sent.clear();
  auto result = bus.ping();
  ASSERT_EQ(link.sent.size(), 1U);
  link.message_received(response{std::get<request>(link.sent.front()).id, {}});
  EXPECT_TRUE(result.get(0ms));
}

TEST(ABusThatCannotBeMade, LeavesItsPoolUsable) {
  master_channel pool{{.executable = "/bin/true"}};
  refusing_channel refuses;
  EXPECT_THROW((test_bus{{.channels = {&pool, &refuses}}}), std::runtime_error);
  const test_bus bus{pool};
  EXPECT_THROW(test_bus{pool}, std::logic_error);
}

TEST(ABusThatCannotBeMade, LeavesAChannelThatServesAnotherBusToThatOne) {
  hand_channel link, second;
  const test_bus first{link};
  EXPECT_THROW((test_bus{{.channels = {&second, &link}}}), std::logic_error);
  link.connected();
  link.message_received(handler_registered{"ping", default_param});
  link.sent.clear();
  static_cast<void>(first.ping());
  EXPECT_EQ(link.sent.size(), 1U);
  const test_bus other{second};
}

// -- lazy ---------------------------------------------------------------------

TEST(LazyCallbacks, ThatAreNullAreToldNothing) {
  test_bus bus;
  std::vector<std::string> told;
  const auto tell = [&](const char* what) {
    return [&told, what](const std::string& param) { told.push_back(what + param); };
  };
  const auto only_first = bus.ping.lazy(tell("+"), nullptr);
  const auto only_last = bus.ping.lazy(nullptr, tell("-"));
  const auto none = bus.ping.lazy(nullptr, nullptr);
  bus.ping.on({"p"}, [] {})();
  EXPECT_THAT(told, ElementsAre("+p", "-p"));
  bus.ping.on({"q"}, [] {});
  only_first();
  only_last();
  none();
  EXPECT_THAT(told, ElementsAre("+p", "-p", "+q", "-q"));
}

// -- many ---------------------------------------------------------------------

/// What this thread has worked, which other processes do not add to.
std::chrono::nanoseconds cpu_time() {
  timespec x{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &x);
  return std::chrono::seconds{x.tv_sec} + std::chrono::nanoseconds{x.tv_nsec};
}

template <class F>
std::chrono::nanoseconds best_of_three(F f) {
  auto best = std::chrono::nanoseconds::max();
  for (int i = 0; i < 3; ++i) {
    const auto start = cpu_time();
    f();
    best = std::min(best, cpu_time() - start);
  }
  return best;
}

/// `f(n)` does n things: eight times as many take less than forty times as long, where quadratic ones take 64 times.
void expect_not_quadratic(std::size_t n, const std::function<void(std::size_t)>& f) {
  const auto few = best_of_three([&] { f(n); });
  const auto many = best_of_three([&] { f(8 * n); });
  EXPECT_LT(many.count(), 40 * few.count()) << few.count() << " ns and " << many.count() << " ns";
}

TEST(ManyHandlers, OfOneParameterComeAndGoInLogarithmicTime) {
  expect_not_quadratic(1000, [](std::size_t n) {
    test_bus bus;
    std::vector<unsubscribe> all;
    for (std::size_t i = 0; i < n; ++i)
      all.push_back(bus.log.on([](const std::string&) {}));
    for (const auto& each : all)
      each();
  });
}

TEST(ManyHandlers, OfManyParametersComeAndGoInLogarithmicTime) {
  expect_not_quadratic(500, [](std::size_t n) {
    test_bus bus;
    const auto cancel = bus.log.lazy([](const std::string&) {}, [](const std::string&) {});
    std::vector<unsubscribe> all;
    for (std::size_t i = 0; i < n; ++i)
      all.push_back(bus.log.on({std::to_string(i)}, [](const std::string&) {}));
    for (const auto& each : all)
      each();
  });
}

TEST(ManyHandlers, ThatALazyCallbackRegistersAreToldInLogarithmicTime) {
  expect_not_quadratic(500, [](std::size_t n) {
    test_bus bus;
    bus.log.lazy(
        [&](const std::string& param) {
          if (param == "start")
            for (std::size_t i = 0; i < n; ++i)
              bus.log.on({std::to_string(i)}, [](const std::string&) {});
        },
        nullptr);
    bus.log.on({"start"}, [](const std::string&) {});
  });
}

TEST(ManyWaitingCalls, AreTakenFromTheMiddleInLogarithmicTime) {
  expect_not_quadratic(1000, [](std::size_t n) {
    cluster_channel::detail::waiting_calls calls;
    const auto param = share_param("p");
    std::vector<std::uint64_t> ids;
    for (std::size_t i = 0; i < n; ++i) {
      auto x = std::make_unique<cluster_channel::detail::waiting_calls::call>();
      x->how.param = param;
      ids.push_back(calls.add(x));
    }
    for (std::size_t i = 0; i < n; ++i)
      EXPECT_TRUE(calls.take(*param, ids[(i + n / 2) % n]));
    EXPECT_TRUE(calls.empty());
  });
}

} // namespace

} // namespace cluster_channel
