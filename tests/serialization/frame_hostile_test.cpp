#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allocations.hpp"
#include "frame_samples.hpp"
#include "random.hpp"
#include <cstring>

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// A frame around `body`, whatever it holds.
bytes framed(std::string_view body) {
  const auto length = static_cast<std::uint32_t>(body.size());
  bytes result(sizeof length);
  std::memcpy(result.data(), &length, sizeof length);
  const auto rest = to_bytes(body);
  result.insert(result.end(), rest.begin(), rest.end());
  return result;
}

void expect_error(bytes_view data, const std::string& why, std::size_t limit = default_frame_bytes_max) {
  frame_reader reader{limit};
  reader.feed(data);
  while (reader.next()) {
  }
  EXPECT_EQ(code_of(reader.error()), errc::protocol_error);
  EXPECT_THAT(describe(reader.error()), HasSubstr(why));
}

using namespace std::string_view_literals;

TEST(FrameReader, RefusesALengthOverTheLimitBeforeAllocation) {
  for (const auto& length : {"\x65\0\0\0"sv, "\0\0\1\0"sv, "\xff\xff\xff\xff"sv}) {
    frame_reader reader{100};
    reader.feed(as_bytes_view(length));
    const allocation_watch watch;
    EXPECT_FALSE(reader.next());
    EXPECT_LT(watch.largest(), 1000u);
    EXPECT_EQ(code_of(reader.error()), errc::protocol_error);
    EXPECT_THAT(describe(reader.error()), HasSubstr("frame_bytes_max is 100"));
  }
}

TEST(FrameReader, AllocatesNothingForALengthWithinTheLimit) {
  frame_reader reader;
  const allocation_watch watch;
  reader.feed(as_bytes_view("\0\0\0\4\3"sv)); // claims 64 MiB
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.error());
  EXPECT_LT(watch.largest(), 1000u);
}

TEST(FrameReader, TakesABodyOfExactlyTheLimit) {
  frame_reader reader{13};
  reader.feed(frame_of(response{1, bytes(4)}));
  EXPECT_TRUE(reader.next());
  reader.feed(frame_of(response{1, bytes(5)}));
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.error());
}

TEST(FrameReader, RefusesAnEmptyBody) {
  expect_error(framed(""), "an empty frame");
}

TEST(FrameReader, RefusesUnknownTypes) {
  for (int type = 0; type < 256; ++type)
    if (type < 1 || type > 10)
      expect_error(framed(std::string(20, static_cast<char>(type))), "of unknown type " + std::to_string(type));
}

TEST(FrameReader, RefusesAHelloWithoutTheMagicNumber) {
  expect_error(framed("\1CLCX\1\0\0\0\0\0\0\0"sv), "magic");
  expect_error(framed("\1GET / HTTP/1.1\r\n\r\n"sv), "magic");
}

TEST(FrameReader, LeavesAnotherVersionToItsUser) {
  frame_reader reader;
  reader.feed(frame_of(hello{9, "morse", {}}));
  EXPECT_EQ(std::get<hello>(reader.next().value()).version, 9);
}

TEST(FrameReader, KnowsEveryErrorCode) {
  for (int i = 1; i <= static_cast<int>(errc::connection_closed); ++i) {
    const auto code = static_cast<errc>(i);
    frame_reader reader;
    reader.feed(frame_of(error_message{1, {.code = code, .text = "t"}}));
    EXPECT_EQ(std::get<error_message>(reader.next().value()).what.code, code);
  }
}

TEST(FrameReader, TakesErrorCodesItDoesNotKnowForHandlerFailed) {
  for (const char code : {'\0', '\22', '\377'}) {
    auto frame = frame_of(error_message{1, {.code = errc::timed_out, .text = "t"}});
    frame[4 + 1 + 8] = static_cast<std::byte>(code);
    frame_reader reader;
    reader.feed(frame);
    EXPECT_EQ(std::get<error_message>(reader.next().value()).what.code, errc::handler_failed);
  }
}

TEST(FrameReader, RefusesBodiesCutShortAtEveryByte) {
  for (const auto& msg : sample_messages()) {
    const auto frame = frame_of(msg);
    const auto body = as_text(bytes_view{frame}.subspan(4));
    for (std::size_t size = 1; size < body.size(); ++size) {
      frame_reader reader;
      reader.feed(framed(body.substr(0, size)));
      const auto back = reader.next();
      // What ends in payload is shorter payload; nothing tells.
      EXPECT_TRUE(reader.error() || (back && ends_in_payload(msg)));
      if (back) {
        EXPECT_EQ(as_text(frame_of(*back)).substr(4), body.substr(0, size));
      }
    }
  }
}

TEST(FrameReader, AllocatesNothingForTheSizeOfAChunkedMessage) {
  const auto frame = frame_of(chunk_start{1, ~std::uint64_t{0}});
  frame_reader reader;
  const allocation_watch watch;
  reader.feed(frame);
  EXPECT_EQ(std::get<chunk_start>(reader.next().value()).size, ~std::uint64_t{0}); // for the joiner to refuse
  EXPECT_LT(watch.largest(), 1000u);
}

TEST(FrameReader, RefusesBytesAfterTheLastField) {
  for (const auto& msg : sample_messages())
    if (!ends_in_payload(msg)) {
      const auto frame = frame_of(msg);
      expect_error(framed(std::string{as_text(frame).substr(4)} + "xy"), "with 2 bytes too many");
    }
}

TEST(FrameReader, RefusesFieldsThatReachBeyondTheBodyBeforeAllocation) {
  const allocation_watch watch;
  expect_error(framed("\2\0\0\0\0\0\0\0\0\xff\xff"sv), "in the middle of a field");
  expect_error(framed("\4\0\0\0\0\0\0\0\0\1\xff\xff\xff\xff"sv), "in the middle of a field");
  expect_error(framed("\1CLCH\1\0\0\0\1\0\0\0\0\0\xff\xff\xff\xff"sv), "in the middle of a field");
  EXPECT_LT(watch.largest(), 1000u);
}

TEST(FrameReader, RefusesAFieldThatReachesIntoTheNextFrame) {
  auto data = framed("\5\4\0ab"sv);
  const auto next = frame_of(response{1, bytes(10)});
  data.insert(data.end(), next.begin(), next.end());
  expect_error(data, "in the middle of a field");
}

TEST(FrameReader, RefusesCountsOverTheLimitBeforeAllocation) {
  const allocation_watch watch;
  expect_error(framed("\7\xff\xff\xff\xff"sv), "lists 4294967295 slots");
  expect_error(framed("\7\1\0\1\0"sv), "lists 65537 slots");
  expect_error(framed("\1CLCH\1\0\0\0\xff\xff\xff\xff"sv), "lists 4294967295 slots");
  expect_error(framed("\7\0\0\1\0"sv), "in the middle of a field");
  EXPECT_LT(watch.largest(), 1000u);
}

TEST(FrameReader, StaysInItsFirstError) {
  frame_reader reader;
  reader.feed(framed(""));
  EXPECT_FALSE(reader.next());
  const auto first = describe(reader.error());
  reader.feed(frame_of(response{}));
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(describe(reader.error()), first);
  EXPECT_FALSE(reader.mid_frame());
}

TEST(FrameReader, DeliversWhatCameBeforeAnError) {
  auto data = frame_of(response{1, {}});
  const auto bad = framed("\x63");
  data.insert(data.end(), bad.begin(), bad.end());
  frame_reader reader;
  reader.feed(data);
  EXPECT_TRUE(reader.next());
  EXPECT_FALSE(reader.error());
  EXPECT_FALSE(reader.next());
  EXPECT_THAT(describe(reader.error()), AllOf(HasSubstr("unknown type 99"), HasSubstr("at byte 13 of the stream")));
}

TEST(FrameReader, CountsTheStreamAcrossFeeds) {
  frame_reader reader;
  std::size_t bytes_fed = 0;
  for (int i = 0; i < 300; ++i) {
    const auto frame = frame_of(response{1, bytes(i % 100 == 0 ? 3'000'000 : 10)});
    bytes_fed += frame.size();
    reader.feed(frame);
    if (i % 3 == 0)
      while (reader.next()) {
      }
  }
  while (reader.next()) {
  }
  reader.feed(framed(""));
  EXPECT_FALSE(reader.next());
  EXPECT_THAT(describe(reader.error()), HasSubstr("at byte " + std::to_string(bytes_fed) + " of"));
}

/// Reads `data` to the end. Each message that is accepted must write back to the bytes it was read from.
void expect_refused_or_accounted_for(bytes_view data) {
  frame_reader reader{4096};
  const allocation_watch watch;
  reader.feed(data);
  std::vector<message> back;
  read_all(reader, back);
  EXPECT_LT(watch.largest(), 1u << 16);
  EXPECT_EQ(code_of(reader.error()), reader.error() ? errc::protocol_error : errc::none);
  std::size_t at = 0;
  for (const auto& msg : back) {
    if (const auto* hi = std::get_if<hello>(&msg); hi && hi->version > protocol_version) { // the rest is not read
      std::uint32_t length = 0;
      std::memcpy(&length, data.data() + at, sizeof length);
      at += sizeof length + length;
      continue;
    }
    const auto frame = frame_of(msg);
    ASSERT_LE(at + frame.size(), data.size());
    if (!std::holds_alternative<error_message>(msg)) { // unknown codes are replaced
      EXPECT_EQ(as_text(frame), as_text(data.subspan(at, frame.size())));
    }
    at += frame.size();
  }
}

TEST(FrameReader, EveryBitFlipIsRefusedOrAnotherMessage) {
  for (const auto& msg : sample_messages()) {
    auto data = frame_of(msg);
    const auto next = frame_of(response{1, to_bytes("next")});
    data.insert(data.end(), next.begin(), next.end());
    for (std::size_t bit = 0; bit < 8 * data.size(); ++bit) {
      const auto mask = std::byte{1} << (bit % 8);
      data[bit / 8] ^= mask;
      expect_refused_or_accounted_for(data);
      data[bit / 8] ^= mask;
    }
  }
}

TEST(FrameReader, RandomBytesAreRefusedOrMessages) {
  random_source random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 5000; ++round)
    expect_refused_or_accounted_for(random.random_bytes(random.below(200)));
}

TEST(FrameReader, RandomBodiesOfEveryTypeAreRefusedOrMessages) {
  random_source random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 20'000; ++round) {
    auto body = random.random_bytes(1 + random.below(60));
    for (auto& x : body)
      x &= random.below(4) == 0 ? std::byte{7} : std::byte{0};
    body[0] = static_cast<std::byte>(1 + random.below(10));
    auto text = std::string{as_text(body)};
    if (text[0] == 1)
      text.insert(1, "CLCH");
    expect_refused_or_accounted_for(framed(text));
  }
}

TEST(FrameReader, RandomlyDamagedStreamsAreRefusedOrMessages) {
  random_source random;
  SCOPED_TRACE(random.trace());
  const auto stream = frames_of(sample_messages());
  for (int round = 0; round < 3000; ++round) {
    auto data = stream;
    for (auto n = 1 + random.below(4); n > 0; --n)
      data[random.below(data.size())] = static_cast<std::byte>(random.below(256));
    expect_refused_or_accounted_for(data);
  }
}

} // namespace

} // namespace cluster_channel
