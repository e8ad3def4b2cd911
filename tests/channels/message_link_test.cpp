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

TEST(Slot, MayRegisterAHandlerWhoseLazyCallbackEndsTheBus) {
  auto bus = std::make_unique<bus_type>();
  int told = 0;
  bus->ask.lazy([&](const std::string&) { bus.reset(); }, [&](const std::string&) { ++told; });
  const auto remove = bus->ask.on([](int x) { return x; });
  EXPECT_EQ(bus, nullptr);
  remove();
  EXPECT_EQ(told, 0);
}

// -- waiting calls ------------------------------------------------------------

TEST(WaitingCalls, AreNotSentByTheThreadThatReadsForAsLongAsOthersCall) {
  std::atomic<long> sent{0};
  std::atomic<long> made{0};
  std::atomic<long> ended{0};
  std::atomic<bool> returned{false};
  std::atomic<bool> captured{false};
  odd_channel link;
  const bus_type bus{{.channels = {&link}, .buffer_calls_max = 20}};
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
        std::this_thread::yield();
      }
    });
  while (made < 200)
    std::this_thread::yield();
  link.message_received(handler_registered{"note"});
  returned = true;
  for (auto& each : callers)
    each.join();
  EXPECT_FALSE(captured);
  EXPECT_GE(sent, 1);
  while (ended < made && std::chrono::steady_clock::now() < deadline + 30s)
    std::this_thread::yield();
  EXPECT_EQ(ended, made) << "what came while others were sent";
}

// -- announcements ------------------------------------------------------------

class Announcements : public ::testing::Test {
protected:
  std::vector<std::string> sent() { return std::exchange(link_.sent, {}); }

  bool refuses_ = true;
  std::shared_ptr<hand_timers> timers_ = std::make_shared<hand_timers>();
  odd_channel link_;
};

TEST_F(Announcements, OfAHandlerAreMadeAgainWhenTheyWereRefused) {
  const bus_type bus{{.channels = {&link_}, .timers = timers_}};
  link_.connected();
  EXPECT_THAT(sent(), ElementsAre("hello"));
  link_.on_send = refuse_while<handler_registered>(refuses_);
  const auto stop = bus.ask.on([](int x) { return x; });
  bus.note.on([](const std::string&) {});
  timers_->run();
  EXPECT_THAT(sent(), IsEmpty());
  refuses_ = false;
  timers_->run();
  EXPECT_THAT(sent(), ElementsAre("registered ask", "registered note"));
  EXPECT_TRUE(timers_->idle());
  refuses_ = true;
  link_.on_send = refuse_while<handler_unregistered>(refuses_);
  stop();
  refuses_ = false;
  timers_->run();
  EXPECT_THAT(sent(), ElementsAre("unregistered ask"));
}

TEST_F(Announcements, OfAHandlerThatWentMeanwhileAreNotMadeAgain) {
  const bus_type bus{{.channels = {&link_}, .timers = timers_}};
  link_.connected();
  link_.on_send = refuse_while<handler_registered>(refuses_);
  bus.ask.on([](int x) { return x; })();
  refuses_ = false;
  timers_->run();
  EXPECT_THAT(sent(), ElementsAre("hello"));
}

TEST_F(Announcements, OnANewConnectionAreMadeAgainWhenTheyWereRefused) {
  const bus_type bus{{.channels = {&link_}, .ignored_events = {"now"}, .timers = timers_}};
  bus.ask.on([](int x) { return x; });
  bus.note.on([](const std::string&) {});
  link_.on_send = [this](const message& msg) -> caf::error {
    const auto* added = std::get_if<handler_registered>(&msg);
    if (refuses_ && ((added && added->slot == "ask") || std::holds_alternative<event_list>(msg)))
      return make_error(errc::buffer_full, "no room");
    return {};
  };
  link_.connected();
  EXPECT_THAT(sent(), ElementsAre("hello", "registered note"));
  refuses_ = false;
  timers_->run();
  EXPECT_THAT(sent(), ElementsAre("registered ask", "event list"));
  EXPECT_TRUE(timers_->idle());
}

TEST_F(Announcements, OfAParameterThatFitsInNoMessageAreRefusedAtOnce) {
  const bus_type bus{link_};
  const auto echo = [](int x) { return x; };
  EXPECT_THROW(bus.ask.on({std::string(65'536, 'x')}, echo), std::invalid_argument);
  EXPECT_NO_THROW(bus.ask.on({std::string(65'535, 'x')}, echo));
}

TEST_F(Announcements, WaitForAHelloThatIsNotRefused) {
  const bus_type bus{link_};
  bus.ask.on([](int x) { return x; });
  link_.on_send = refuse_while<hello>(refuses_);
  link_.connected();
  EXPECT_THAT(sent(), IsEmpty());
  EXPECT_EQ(outcome(bus.now(1)), "channel_not_ready: CHANNEL_NOT_READY on now");
  refuses_ = false;
  link_.connected();
  EXPECT_THAT(sent(), ElementsAre("hello", "registered ask"));
}

// -- connecting ---------------------------------------------------------------

TEST(MessageLink, LetsACallGoThatWaitedForAReconnectionThatWasRefused) {
  odd_channel link;
  const bus_type bus{link};
  std::optional<call<int>> second;
  link.on_reconnect = [&] { // another thread calls at this moment
    if (!second)
      second = bus.now(2, {.param = {"y"}});
    return false;
  };
  EXPECT_EQ(outcome(bus.now(1)), "channel_not_ready: CHANNEL_NOT_READY on now");
  EXPECT_EQ(outcome(*second), "channel_not_ready: CHANNEL_NOT_READY on now");
}

TEST(MessageLink, KeepsCallsAndAnswersUntilItsHelloIsSaid) {
  odd_channel link;
  const bus_type bus{link};
  bus.ask.on([](int x) { return x; });
  std::optional<call<int>> early;
  link.on_send = [&](const message& msg) -> caf::error {
    if (std::holds_alternative<hello>(msg)) {
      early = bus.now(1);
      link.message_received(request{1, "ask", default_param, encode(1)});
    }
    return {};
  };
  link.connected();
  EXPECT_THAT(link.sent, ElementsAre("hello", "registered ask", "response", "request now"));
  EXPECT_EQ(outcome(*early), "pending");
}

TEST(MessageLink, ForgetsThatTheEndsDoNotFitWhenTheConnectionIsLost) {
  odd_channel link;
  const bus_type bus{link};
  link.connected();
  link.message_received(hello{protocol_version, binary_codec, {{"now", "another -> type"}}});
  EXPECT_THAT(outcome(bus.now(1)), HasSubstr("protocol_mismatch"));
  link.disconnected();
  EXPECT_EQ(outcome(bus.now(1)), "channel_not_ready: CHANNEL_NOT_READY on now");
}

// -- what a user's or the system's function throws -----------------------------

TEST(MessageLink, FailsACallWhoseSendThrows) {
  auto link = std::make_unique<odd_channel>();
  const bus_type bus{*link};
  link->connected();
  link->message_received(handler_registered{"ask"});
  link->on_send = [](const message&) -> caf::error { throw std::runtime_error("the link is odd"); };
  auto open = bus.ask(1);
  EXPECT_THAT(outcome(open), HasSubstr("the link is odd"));
  link.reset(); // nobody is inside any more
}

TEST(MessageLink, TakesAReconnectThatThrowsForOneThatIsRefused) {
  odd_channel link;
  const bus_type bus{link};
  link.on_reconnect = []() -> bool { throw std::runtime_error("no way"); };
  EXPECT_EQ(outcome(bus.now(1)), "channel_not_ready: CHANNEL_NOT_READY on now");
}

TEST(Slot, FailsACallWhoseTimeCannotBeMeasured) {
  const auto timers = std::make_shared<hand_timers>();
  odd_channel link;
  const bus_type bus{{.channels = {&link}, .timers = timers}};
  const bus_type local{{.timers = timers}};
  bool ran = false;
  local.ask.on([&](int x) {
    ran = true;
    return x;
  });
  link.connected();
  link.message_received(handler_registered{"ask"});
  timers->fails = true;
  EXPECT_THAT(outcome(bus.ask(1, {.timeout = 1s})), HasSubstr("buffer_full: no timer can be started"));
  EXPECT_THAT(outcome(bus.note("x", {.wait_timeout = 1s})), HasSubstr("buffer_full: no timer can be started"));
  EXPECT_THAT(outcome(local.ask(1, {.timeout = 1s})), HasSubstr("buffer_full: no timer can be started"));
  EXPECT_FALSE(ran);
  EXPECT_EQ(outcome(local.ask(1)), "done");
}

TEST(Slot, SendsNoCallWhoseRequestCannotBeEncoded) {
  odd_channel link;
  const bus_type bus{link};
  link.connected();
  link.message_received(handler_registered{"refuse"});
  EXPECT_THAT(outcome(bus.refuse(stubborn{1})), HasSubstr("bad_payload: the request cannot be encoded: not today"));
  EXPECT_THAT(link.sent, ElementsAre("hello"));
}

// -- chunks -------------------------------------------------------------------

TEST(MessageLink, WatchesAMessageThatBeganBeforeTheBusCame) {
  const auto timers = std::make_shared<hand_timers>();
  odd_channel link;
  chunked_channel chunked{link, {}};
  link.connected();
  link.message_received(chunk_start{1, 100'000});
  const bus_type bus{{.channels = {&chunked}, .timers = timers}};
  link.message_received(handler_registered{"ask"});
  auto open = bus.ask(1);
  timers->run();
  EXPECT_EQ(outcome(open), "pending");
  timers->run();
  EXPECT_THAT(outcome(open), HasSubstr("has stalled after 0 of 100000 bytes"));
  EXPECT_TRUE(timers->idle());
}

} // namespace

} // namespace cluster_channel
