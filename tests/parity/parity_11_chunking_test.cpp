// 11. Chunking: a chunked channel splits large messages and joins them again;
// small ones pass whole.

#include <cluster_channel/channels/chunked_channel.hpp>

#include "parity.hpp"

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr std::size_t chunk_size = 100;

/// Two buses over a local pair whose ends are chunked.
struct chunked_ends : virtual_time {
  local_channel_pair link{system, {.connected = false}};
  chunked_channel first{link.first(), {.chunk_size = chunk_size}};
  chunked_channel second{link.second(), {.chunk_size = chunk_size}};
  bus_type here{options({&first})};
  bus_type there{options({&second})};
};

/// A bus on a chunked wire, after the greeting.
struct chunked_wire {
  chunked_wire() {
    line.connected();
    line.registers("echo");
    line.registers("note");
    line.sent.clear();
  }

  /// Sends what the wire recorded back to the bus, as if the far end had sent
  /// it.
  void send_back(const std::vector<message>& messages) {
    for (const auto& msg : messages)
      line.message_received(msg);
  }

  wire line;
  chunked_channel chunked{line, {.chunk_size = chunk_size}};
  bus_type bus{chunked};
};

TEST(Parity11Chunking, ASmallMessagePassesWhole) {
  chunked_wire x;
  static_cast<void>(x.bus.note("small"));
  EXPECT_THAT(x.line.said(), ElementsAre("request note"));
}

TEST(Parity11Chunking, ALargeMessageIsAStartItsDataAndAnEndWithOneId) {
  chunked_wire x;
  static_cast<void>(x.bus.note(std::string(1000, 'x')));
  ASSERT_GE(x.line.sent.size(), 12U);
  const auto* start = std::get_if<chunk_start>(&x.line.sent.front());
  const auto* end = std::get_if<chunk_end>(&x.line.sent.back());
  ASSERT_TRUE(start && end);
  EXPECT_EQ(start->chunk_id, end->chunk_id);
  std::size_t size = 0;
  for (std::size_t i = 1; i + 1 < x.line.sent.size(); ++i) {
    const auto* data = std::get_if<chunk_data>(&x.line.sent[i]);
    ASSERT_TRUE(data) << "message " << i;
    EXPECT_EQ(data->chunk_id, start->chunk_id);
    EXPECT_LE(data->data.size(), chunk_size);
    size += data->data.size();
  }
  EXPECT_EQ(start->size, size);
}

TEST(Parity11Chunking, ChunksAreJoinedInBothDirections) {
  chunked_ends x;
  x.link.connect();
  x.there.echo.on([](const std::string& text) { return text + text; });
  const std::string text(10 * chunk_size, 'y');
  auto call = x.here.echo(text);
  x.run();
  EXPECT_EQ(outcome(call), in_words(text + text));
}

TEST(Parity11Chunking, EverySizeAroundTheLimitArrives) {
  chunked_ends x;
  x.link.connect();
  x.there.echo.on([](const std::string& text) { return text; });
  for (std::size_t size = 0; size <= 2 * chunk_size + 1; ++size) {
    const std::string text(size, 'z');
    auto call = x.here.echo(text);
    x.run();
    ASSERT_EQ(outcome(call), in_words(text)) << size << " bytes";
  }
}

TEST(Parity11Chunking, SmallMessagesMayComeBetweenTheChunksOfALargeOne) {
  chunked_wire x;
  std::vector<std::string> seen;
  x.bus.note.on([&](const std::string& text) { seen.push_back(text.substr(0, 5)); });
  x.line.sent.clear();
  static_cast<void>(x.bus.echo(std::string(300, 'x'))); // how a large request looks in chunks
  auto chunks = std::exchange(x.line.sent, {});
  const auto half = chunks.begin() + 2;
  x.send_back({chunks.begin(), half});
  x.line.message_received(request{1, "note", default_param, encode(std::string{"small"})});
  EXPECT_THAT(seen, ElementsAre("small"));
  x.line.sent.clear();
  x.send_back({half, chunks.end()});
  EXPECT_THAT(x.line.said(), ElementsAre(StartsWith("error no handler for slot echo"))) << "the request was joined";
}

TEST(Parity11Chunking, WhatALostConnectionLeftUnfinishedIsDropped) {
  chunked_wire x;
  static_cast<void>(x.bus.echo(std::string(300, 'x')));
  auto chunks = std::exchange(x.line.sent, {});
  x.send_back({chunks.begin(), chunks.end() - 1});
  x.line.disconnected();
  x.line.connected();
  x.line.sent.clear();
  x.send_back({chunks.back()});
  EXPECT_THAT(x.line.said(), ElementsAre()) << "half a request was taken for a whole one";
}

} // namespace

} // namespace cluster_channel::parity
