// Chunked channels between two buses; the joiner alone is in chunk_joiner_test.cpp.
#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/local_channel.hpp>
#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../serialization/random.hpp"
#include "hand_channel.hpp"
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using namespace test;
using ::testing::HasSubstr;

std::string same_text(const std::string& x) {
  return x;
}

std::vector<int> reverse(const std::vector<int>& x) {
  return {x.rbegin(), x.rend()};
}

template <class T>
failure failure_of_call(call<T>& x) {
  auto result = x.get(0ms);
  return result ? failure{} : failure_of(result.error());
}

template <class T>
void expect_failure(call<T>& x, errc code, const std::string& text) {
  const auto what = failure_of_call(x);
  EXPECT_EQ(what.code, code);
  EXPECT_THAT(what.text, HasSubstr(text));
}

std::size_t request_size(const std::string& text) {
  return frame_size(request{0, "echo", default_param, encode(text)});
}

/// A text whose request has a frame of `size` bytes.
std::string text_for(std::size_t size) {
  const auto overhead = request_size("");
  std::string result(size - overhead, 'x');
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<char>('a' + i % 26);
  return result;
}

// -- splitting ----------------------------------------------------------------

TEST(ChunkedChannel, SplitsExactlyWhatExceedsTheChunkSize) {
  constexpr std::size_t chunk_size = 100;
  chunked_pair buses{{.chunk_size = chunk_size}};
  buses.there.echo.on(same_text);
  buses.carry();
  for (const std::size_t multiple : {1, 2, 3, 10})
    for (auto size = multiple * chunk_size - 2; size <= multiple * chunk_size + 2; ++size) {
      const auto text = text_for(size);
      auto answer = buses.here.echo(text);
      const auto& sent = buses.here_link.sent;
      if (size <= chunk_size) {
        ASSERT_EQ(sent.size(), 1u) << size;
        EXPECT_EQ(std::get<request>(sent[0]).data, encode(text));
      } else {
        const auto chunks = (size + chunk_size - 1) / chunk_size;
        ASSERT_EQ(sent.size(), chunks + 2) << size;
        const auto id = std::get<chunk_start>(sent[0]).chunk_id;
        EXPECT_EQ(std::get<chunk_start>(sent[0]).size, size);
        for (std::size_t i = 1; i < chunks; ++i)
          EXPECT_EQ(std::get<chunk_data>(sent[i]).data.size(), chunk_size);
        EXPECT_EQ(std::get<chunk_data>(sent[chunks]).data.size(), size - (chunks - 1) * chunk_size);
        EXPECT_EQ(std::get<chunk_data>(sent[chunks]).chunk_id, id);
        EXPECT_EQ(std::get<chunk_end>(sent[chunks + 1]).chunk_id, id);
      }
      buses.carry();
      EXPECT_EQ(answer.get(0ms), text) << size;
    }
}

TEST(ChunkedChannel, NumbersEachMessage) {
  chunked_pair buses{{.chunk_size = 100}};
  buses.there.echo.on(same_text);
  buses.carry();
  auto one = buses.here.echo(text_for(200));
  auto two = buses.here.echo(text_for(200));
  EXPECT_NE(std::get<chunk_start>(buses.here_link.sent.front()).chunk_id,
            std::get<chunk_end>(buses.here_link.sent.back()).chunk_id);
}

TEST(ChunkedChannel, SplitsEverythingAtAChunkSizeOfOne) {
  test::system_config config;
  caf::actor_system system{config};
  local_channel_pair link{system};
  chunked_channel here_chunked{link.first(), {.chunk_size = 1}};
  chunked_channel there_chunked{link.second(), {.chunk_size = 1}};
  const auto timers = make_actor_timers(system);
  event_bus<test_events> here{{.channels = {&here_chunked}, .timers = timers}};
  event_bus<test_events> there{{.channels = {&there_chunked}, .timers = timers}};
  auto& coordinator = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  there.echo.on(same_text);
  there.ping.on([] { throw std::runtime_error("no ping"); });
  here.count.on([] { return 7; });
  coordinator.run();
  auto text = here.echo("a text");
  auto count = there.count();
  auto ping = here.ping();
  coordinator.run();
  EXPECT_EQ(text.get(0ms), "a text");
  EXPECT_EQ(count.get(0ms), 7);
  EXPECT_EQ(failure_of_call(ping).text, "no ping");
}

TEST(ChunkedChannel, AnswersInBothDirectionsOverALocalChannel) {
  test::system_config config;
  caf::actor_system system{config};
  local_channel_pair link{system};
  chunked_channel here_chunked{link.first(), {.chunk_size = 64}};
  chunked_channel there_chunked{link.second(), {.chunk_size = 64}};
  const auto timers = make_actor_timers(system);
  event_bus<test_events> here{{.channels = {&here_chunked}, .timers = timers}};
  event_bus<test_events> there{{.channels = {&there_chunked}, .timers = timers}};
  auto& coordinator = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  here.sort.on(reverse);
  there.echo.on(same_text);
  coordinator.run();
  for (const std::size_t size : {3, 10'000}) {
    const std::string text(size, 't');
    const std::vector<int> numbers(size, 5);
    auto from_here = here.echo(text);
    auto from_there = there.sort(numbers);
    coordinator.run();
    EXPECT_EQ(from_here.get(0ms), text);
    EXPECT_EQ(from_there.get(0ms), numbers);
  }
}

// -- interleaving -------------------------------------------------------------

/// Brings what was sent to the other end, in an order in which only the messages of one chunk_id keep theirs.
void carry_shuffled(hand_channel& from, hand_channel& to, random_source& random) {
  std::map<chunk_id_type, std::deque<message>> streams; // those that are no chunks: by negative position
  chunk_id_type whole = 0;
  for (auto& msg : from.sent) {
    auto id = --whole;
    if (const auto* start = std::get_if<chunk_start>(&msg))
      id = start->chunk_id;
    else if (const auto* data = std::get_if<chunk_data>(&msg))
      id = data->chunk_id;
    else if (const auto* end = std::get_if<chunk_end>(&msg))
      id = end->chunk_id;
    streams[id].push_back(std::move(msg));
  }
  from.sent.clear();
  while (!streams.empty()) {
    auto pos = std::next(streams.begin(), static_cast<std::ptrdiff_t>(random.below(streams.size())));
    auto msg = std::move(pos->second.front());
    pos->second.pop_front();
    if (pos->second.empty())
      streams.erase(pos);
    to.message_received(std::move(msg));
  }
}

TEST(ChunkedChannel, JoinsMessagesWhoseChunksInterleaveAtRandom) {
  random_source random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 50; ++round) {
    chunked_pair buses{{.chunk_size = 40 + random.below(100)}};
    buses.here.sort.on(reverse);
    buses.there.echo.on(same_text);
    buses.carry();
    std::vector<std::pair<std::string, call<std::string>>> texts;
    std::vector<std::pair<std::vector<int>, call<std::vector<int>>>> numbers;
    for (int i = 0; i < 10; ++i) {
      const auto text = text_for(request_size("") + random.below(1000)) + std::to_string(i);
      texts.emplace_back(text, buses.here.echo(text));
      const std::vector<int> number(random.below(200), i);
      numbers.emplace_back(number, buses.there.sort(number));
    }
    for (int way = 0; way < 2; ++way) { // the requests, then the answers
      carry_shuffled(buses.here_link, buses.there_link, random);
      carry_shuffled(buses.there_link, buses.here_link, random);
    }
    buses.carry();
    for (auto& [text, answer] : texts)
      EXPECT_EQ(answer.get(0ms), text);
    for (auto& [number, answer] : numbers)
      EXPECT_EQ(answer.get(0ms), number);
  }
}

/// Hands each message to the other end on the thread that sends it.
class direct_channel final : public generic_channel {
public:
  ~direct_channel() override { detach(); }
  using generic_channel::connected;
  using generic_channel::detach;
  direct_channel* other = nullptr;

private:
  caf::error send(message msg) override {
    other->message_received(std::move(msg));
    return {};
  }
};

TEST(ChunkedChannel, SendsOnSeveralThreadsAtOnce) {
  direct_channel here_link;
  direct_channel there_link;
  here_link.other = &there_link;
  there_link.other = &here_link;
  chunked_channel here_chunked{here_link, {.chunk_size = 64}};
  chunked_channel there_chunked{there_link, {.chunk_size = 64}};
  event_bus<test_events> here{here_chunked};
  event_bus<test_events> there{there_chunked};
  there.echo.on(same_text);
  here_link.connected();
  there_link.connected();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&here, i] {
      for (int n = 0; n < 100; ++n) {
        const std::string text(static_cast<std::size_t>(1 + 50 * n), static_cast<char>('a' + i));
        EXPECT_EQ(here.echo(text).get(10s), text);
      }
    });
  for (auto& thread : threads)
    thread.join();
  here_link.detach();
  there_link.detach();
}

// -- errors and bounds --------------------------------------------------------

TEST(ChunkedChannel, FailsCallsUnderWayAtAnInvalidChunkAndGoesOn) {
  chunked_pair buses{{.chunk_size = 100}};
  buses.there.echo.on(same_text);
  buses.carry();
  auto open = buses.here.echo("x");
  buses.here_link.message_received(chunk_end{5});
  expect_failure(open, errc::protocol_error, "a message in chunks (5) ends without a start");
  const auto text = text_for(1000);
  auto next = buses.here.echo(text);
  buses.carry();
  EXPECT_EQ(next.get(0ms), text);
}

TEST(ChunkedChannel, IsAnErrorOnAnEndThatIsNotChunked) {
  hand_channel link;
  event_bus<test_events> bus{link};
  link.connected();
  link.message_received(handler_registered{"echo"});
  auto open = bus.echo("x");
  link.message_received(chunk_start{1, 10});
  expect_failure(open, errc::protocol_error, "not chunked");
}

TEST(ChunkedChannel, RefusesAMessageBeyondTheLimitAndThatAlone) {
  chunked_pair buses{{.chunk_size = 100, .message_bytes_max = 1000}};
  buses.there.echo.on([](const std::string& x) { return x + x; });
  buses.carry();
  auto too_large = buses.here.echo(text_for(1001));
  expect_failure(too_large, errc::message_too_large, "the message has 1001 bytes, message_bytes_max is 1000");
  EXPECT_TRUE(buses.here_link.sent.empty());
  auto answer_too_large = buses.here.echo(text_for(1000));
  buses.carry();
  expect_failure(answer_too_large, errc::message_too_large, "the answer cannot be sent");
  auto fits = buses.here.echo(text_for(400));
  buses.carry();
  EXPECT_TRUE(fits.get(0ms));
}

TEST(ChunkedChannel, RefusesToSendMoreMessagesAtOnceThanTheFarEndTakes) {
  chunked_pair buses{{.chunk_size = 100, .chunks_open_max = 1}};
  buses.there.echo.on(same_text);
  buses.carry();
  std::optional<call<std::string>> second;
  buses.here_link.on_send = [&](const message& msg) -> caf::error {
    if (std::holds_alternative<chunk_data>(msg) && !second)
      second = buses.here.echo(text_for(200));
    return {};
  };
  auto first = buses.here.echo(text_for(300));
  expect_failure(second.value(), errc::buffer_full, "chunks_open_max");
  auto third = buses.here.echo(text_for(200));
  buses.carry();
  EXPECT_TRUE(first.get(0ms));
  EXPECT_TRUE(third.get(0ms));
}

TEST(ChunkedChannel, RefusesToSendMoreBytesAtOnceThanTheFarEndTakes) {
  chunked_pair buses{{.chunk_size = 100, .message_bytes_max = 500, .open_bytes_max = 600}};
  buses.there.echo.on(same_text);
  buses.carry();
  std::vector<call<std::string>> inner;
  buses.here_link.on_send = [&](const message& msg) -> caf::error {
    if (std::holds_alternative<chunk_start>(msg) && inner.empty()) {
      inner.push_back(buses.here.echo("small"));
      inner.push_back(buses.here.echo(text_for(101)));
    }
    return {};
  };
  auto first = buses.here.echo(text_for(500));
  expect_failure(inner.at(1), errc::buffer_full, "with 500 bytes are being sent in chunks");
  buses.carry();
  EXPECT_TRUE(first.get(0ms));
  EXPECT_TRUE(inner[0].get(0ms));
}

TEST(ChunkedChannel, EndsAMessageWhoseChunkCannotBeSent) {
  chunked_pair buses{{.chunk_size = 100}};
  buses.there.echo.on(same_text);
  buses.here.count.on([] { return 7; });
  buses.carry();
  int chunks = 0;
  buses.here_link.on_send = [&](const message& msg) -> caf::error {
    if (std::holds_alternative<chunk_data>(msg) && ++chunks == 2)
      return make_error(errc::message_too_large, "too large for this link");
    return {};
  };
  auto other = buses.there.count(); // of the far end
  auto open = buses.here.echo(text_for(1000));
  EXPECT_EQ(failure_of_call(open).text, "too large for this link");
  ASSERT_EQ(buses.here_link.sent.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<chunk_end>(buses.here_link.sent.back()));
  buses.carry();
  EXPECT_EQ(other.get(0ms), 7) << "a message that its sender gives up fails no other call";
  auto next = buses.here.echo(text_for(1000));
  buses.carry();
  EXPECT_TRUE(next.get(0ms));
}

TEST(ChunkedChannel, FailsCallsUnderWayWhenAMessageStalls) {
  test::system_config config;
  caf::actor_system system{config};
  auto& coordinator = dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler());
  hand_channel link;
  chunked_channel chunked{link, {.chunk_size = 100, .stall_timeout = 10s}};
  event_bus<test_events> bus{{.channels = {&chunked}, .timers = make_actor_timers(system)}};
  link.connected();
  link.message_received(handler_registered{"echo"});
  auto open = bus.echo("x");
  const auto pass = [&](std::chrono::seconds time) {
    coordinator.run();
    coordinator.advance_time(time);
    coordinator.run();
  };
  link.message_received(chunk_start{1, 1000});
  for (int i = 0; i < 5; ++i) {
    link.message_received(chunk_data{1, bytes(1)});
    pass(10s);
  }
  EXPECT_EQ(failure_of_call(open).code, errc::timed_out) << "it has not ended";
  pass(10s);
  expect_failure(open, errc::protocol_error, "has stalled after 5 of 1000 bytes");
  EXPECT_FALSE(coordinator.has_pending_timeout()) << "nothing is watched any more";
}

// -- connections --------------------------------------------------------------

TEST(ChunkedChannel, DropsTheChunksOfALostConnection) {
  chunked_pair buses{{.chunk_size = 100}};
  buses.there.echo.on(same_text);
  buses.carry();
  auto lost = buses.here.echo(text_for(1000));
  auto late = buses.here_link.sent;
  for (std::size_t i = 0; i < 4; ++i) {
    buses.there_link.message_received(late.front());
    late.pop_front();
  }
  buses.disconnect();
  EXPECT_EQ(failure_of_call(lost).code, errc::connection_closed);
  buses.connect();
  const auto text = text_for(500);
  auto next = buses.here.echo(text);
  for (auto& msg : late)
    buses.there_link.message_received(std::move(msg));
  buses.carry();
  EXPECT_EQ(next.get(0ms), text);
}

TEST(ChunkedChannel, SendsNoChunkOfAnOldConnectionOnANewOne) {
  chunked_pair buses{{.chunk_size = 100}};
  buses.there.echo.on(same_text);
  buses.carry();
  bool again = false;
  buses.here_link.on_send = [&](const message& msg) -> caf::error {
    if (std::holds_alternative<chunk_data>(msg) && !std::exchange(again, true)) {
      buses.disconnect();
      buses.connect();
    }
    return {};
  };
  auto lost = buses.here.echo(text_for(1000));
  EXPECT_EQ(failure_of_call(lost).code, errc::connection_closed);
  EXPECT_EQ(buses.here_link.sent.size(), 1u) << "the chunk during which the connection was lost";
  buses.here_link.sent.clear();
  auto next = buses.here.echo(text_for(1000));
  buses.carry();
  EXPECT_TRUE(next.get(0ms));
}

// -- making one ---------------------------------------------------------------

TEST(ChunkedChannel, RefusesUnusableOptionsByName) {
  const std::vector<std::pair<chunk_options, std::string>> cases{
      {{.chunk_size = 0}, "chunk_size is 0"},
      {{.chunk_size = 10, .message_bytes_max = 9}, "message_bytes_max is 9"},
      {{.message_bytes_max = std::size_t{1} << 32, .open_bytes_max = std::size_t{1} << 33}, "less than 4 GiB"},
      {{.message_bytes_max = 1 << 20, .open_bytes_max = 1 << 19}, "open_bytes_max is 524288"},
      {{.chunks_open_max = 0}, "chunks_open_max is 0"},
      {{.stall_timeout = 0s}, "stall_timeout"},
  };
  for (const auto& [options, why] : cases) {
    hand_channel link;
    try {
      chunked_channel chunked{link, options};
      ADD_FAILURE() << why;
    } catch (const std::invalid_argument& err) {
      EXPECT_THAT(err.what(), HasSubstr(why));
    }
  }
  EXPECT_FALSE(validate(chunk_options{}));
}

TEST(ChunkedChannel, WrapsAChannelOnceAndBeforeItServesABus) {
  hand_channel link;
  const chunked_channel chunked{link};
  EXPECT_THROW(chunked_channel{link}, std::logic_error);
  hand_channel used;
  const event_bus<test_events> bus{used};
  EXPECT_THROW(chunked_channel{used}, std::logic_error);
}

TEST(ChunkedChannel, MayBeGoneOnceABusIsMade) {
  hand_channel link;
  std::optional<chunked_channel> chunked{std::in_place, link, chunk_options{.chunk_size = 100}};
  event_bus<test_events> bus{*chunked};
  chunked.reset();
  link.connected();
  link.message_received(handler_registered{"echo"});
  link.sent.clear();
  auto open = bus.echo(text_for(1000));
  EXPECT_EQ(link.sent.size(), 12u);
}

} // namespace

} // namespace cluster_channel
