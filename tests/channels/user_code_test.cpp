// What a user gives to the bus is made, run and destroyed without any lock of the bus's; and empty errors are failures.

#include <cluster_channel/channels/event_bus.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hand_channel.hpp"
#include "test_events.hpp"
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using test::hand_channel;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Runs `f` when it is destroyed, and when it is copied.
class touchy {
public:
  explicit touchy(std::function<void()> f) : touch_{std::move(f)} {}
  touchy(const touchy& other) : touch_{other.touch_} { touch_(); }
  touchy(touchy&& other) noexcept = default;
  touchy& operator=(const touchy&) = delete;
  touchy& operator=(touchy&&) = delete;
  ~touchy() {
    if (touch_)
      touch_();
  }

private:
  std::function<void()> touch_;
};

// -- no lock ------------------------------------------------------------------

TEST(UserCode, OfAHandlerMayUseItsSlotWhileItIsCopiedAndDestroyed) {
  event_bus<test_events> bus;
  int touched = 0;
  const auto touch = [&] {
    ++touched;
    bus.ping.on([] {})();
    static_cast<void>(bus.ping());
  };
  const auto remove = bus.ping.on([x = touchy{touch}] {});
  const auto remove_other = bus.ping.on([] {});
  EXPECT_TRUE(bus.ping().get(0ms));
  remove();
  remove_other();
  EXPECT_GT(touched, 0);
}

TEST(UserCode, OfLazyCallbacksMayUseTheirSlotWhileTheyAreDestroyed) {
  event_bus<test_events> bus;
  int touched = 0;
  auto owner = std::make_shared<touchy>([&] {
    ++touched;
    bus.ping.on([] {})();
  });
  unsubscribe cancel;
  bus.ping.lazy(
      [&](const std::string&) {
        if (cancel) // ends once this has returned
          std::exchange(cancel, nullptr)();
      },
      nullptr);
  cancel = bus.ping.lazy([owner](const std::string&) {}, nullptr);
  owner.reset();
  bus.ping.on([] {});
  EXPECT_EQ(touched, 1);
}

TEST(UserCode, OfRequestsAndContinuationsOfWaitingCallsMayUseTheirSlot) {
  hand_channel link;
  std::vector<std::string> told;
  auto bus = std::make_unique<event_bus<test_events>>(bus_options{.channels = {&link}, .wait_timeout = 1h});
  link.connected();
  auto result = bus->log("x");
  result.on_result([&, x = std::make_shared<touchy>([&] {
                         bus->log.on([](const std::string&) {})();
                         told.emplace_back("gone");
                       })](caf::expected<void> y) {
    bus->log.on([](const std::string&) {})();
    told.push_back(y ? "done" : to_string(code_of(y.error())));
  });
  link.message_received(event_list{{"log"}}); // nobody is waited for any more, and nobody is there
  EXPECT_THAT(told, ElementsAre("no_handler", "gone"));
}

/// Whose values use a bus while they are moved.
struct using_value {
  int n = 0;
  static inline std::function<void()> use;
  using_value() = default;
  explicit using_value(int x) : n{x} {}
  using_value(using_value&& other) noexcept : n{other.n} { touch(); }
  using_value(const using_value& other) : n{other.n} { touch(); }
  using_value& operator=(const using_value&) = default;
  ~using_value() { touch(); }
  static void touch() {
    if (auto f = std::exchange(use, nullptr)) {
      f();
      use = std::move(f);
    }
  }
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, using_value& x) {
  return f(x.n);
}

struct value_events {
  slot<void, using_value> give;
};
BOOST_DESCRIBE_STRUCT(value_events, (), (give))

TEST(UserCode, OfResponsesMayUseTheCallThatTheyAnswer) {
  event_bus<value_events> bus;
  bus.give.on([] { return using_value{1}; });
  bus.give.on([] { return using_value{2}; });
  std::vector<promise<using_value>> later;
  bus.give.on([&](const promise<using_value>& x) { later.push_back(x); });
  bus.give.on([&](const promise<using_value>& x) { later.push_back(x); });
  auto all = bus.give.all();
  using_value::use = [&] { later.at(1).deliver(using_value{4}); };
  later.at(0).deliver(using_value{3});
  using_value::use = nullptr;
  const auto result = all.get(0ms);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->back().n, 4);
}

// -- exceptions ---------------------------------------------------------------

struct refusing {
  int n = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, refusing& x) {
  if (x.n < 0)
    throw x.n; // no std::exception
  return f(x.n);
}

struct refusing_events {
  slot<refusing> take;
  slot<void, refusing> give;
};
BOOST_DESCRIBE_STRUCT(refusing_events, (), (take, give))

TEST(UserCode, ThatThrowsWhatIsNoExceptionInAnInspectFailsTheCallAlone) {
  hand_channel link;
  event_bus<refusing_events> bus{link};
  link.connected();
  auto waits = bus.take({-1}).get(0ms);
  ASSERT_FALSE(waits);
  EXPECT_EQ(code_of(waits.error()), errc::bad_payload);
  link.message_received(handler_registered{"take", default_param});
  auto goes = bus.take({-1}).get(0ms);
  ASSERT_FALSE(goes);
  EXPECT_EQ(code_of(goes.error()), errc::bad_payload);
  EXPECT_THAT(failure_of(goes.error()).text, HasSubstr("no std::exception"));
  auto everyone = bus.take.broadcast({-1}).get(0ms);
  ASSERT_TRUE(everyone);
  ASSERT_EQ(everyone->size(), 1U);
  EXPECT_EQ(code_of(everyone->front().error()), errc::bad_payload);
}

TEST(UserCode, ThatThrowsWhatIsNoExceptionInTheInspectOfAnAnswerFailsTheCallAlone) {
  hand_channel link;
  event_bus<refusing_events> bus{link};
  link.connected();
  bus.give.on([] { return refusing{-1}; });
  link.sent.clear();
  link.message_received(request{7, "give", default_param, {}});
  ASSERT_EQ(link.sent.size(), 1U);
  const auto* answer = std::get_if<error_message>(&link.sent.front());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->what.code, errc::bad_payload);
}

// -- empty errors -------------------------------------------------------------

template <class T>
void expect_telling(caf::expected<T> result, errc code = errc::handler_failed) {
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error());
  EXPECT_EQ(code_of(result.error()), code);
  EXPECT_THAT(failure_of(result.error()).text, HasSubstr("empty caf::error"));
}

TEST(EmptyError, OfAHandlerFailsTheCall) {
  event_bus<test_events> bus;
  bus.count.on([] { return caf::expected<int>{caf::error{}}; });
  expect_telling(bus.count().get(0ms));
  expect_telling(bus.count.all().get(0ms));
  auto settled = bus.count.all_settled().get(0ms);
  ASSERT_TRUE(settled);
  expect_telling(settled->at(0));
}

TEST(EmptyError, OfAPromiseFailsTheCall) {
  event_bus<test_events> bus;
  bus.count.on([](const promise<int>& x) { x.fail(caf::error{}); });
  bus.ping.on([](const promise<void>& x) { x.fail(caf::error{}); });
  expect_telling(bus.count().get(0ms));
  expect_telling(bus.ping().get(0ms));
  bus.ping.on([] {});
  expect_telling(bus.ping().get(0ms)); // one of several
}

TEST(EmptyError, OfTheFarEndFailsTheCall) {
  hand_channel link;
  event_bus<test_events> bus{link};
  link.connected();
  link.message_received(handler_registered{"count", default_param});
  const auto call_and_fail = [&](auto result) {
    const auto id = std::get<request>(link.sent.back()).id;
    link.message_received(error_message{id, {}});
    return result.get(0ms);
  };
  expect_telling(call_and_fail(bus.count()));
  expect_telling(call_and_fail(bus.count.all()));
}

TEST(EmptyError, OfTheChannelAsAWholeFailsItsCalls) {
  class failing final : public generic_channel {
  public:
    failing() : generic_channel{no_timeout} {}
    ~failing() override { detach(); }
    using generic_channel::connected;
    using generic_channel::error;
    using generic_channel::message_received;

  private:
    caf::error send(message) override { return {}; }
  } link;
  event_bus<test_events> bus{link};
  link.connected();
  link.message_received(handler_registered{"count", default_param});
  auto result = bus.count();
  link.error(caf::error{});
  expect_telling(result.get(0ms), errc::connection_closed);
}

TEST(EmptyError, IsAnErrorForOnResultToo) {
  event_bus<test_events> bus;
  bus.ping.on([](const promise<void>& x) { x.fail(caf::error{}); });
  std::optional<caf::expected<void>> result;
  bus.ping().on_result([&](caf::expected<void> x) { result.emplace(std::move(x)); });
  ASSERT_TRUE(result);
  expect_telling(*result);
}

} // namespace

} // namespace cluster_channel
