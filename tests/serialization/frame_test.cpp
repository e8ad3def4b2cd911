#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allocations.hpp"
#include "frame_samples.hpp"
#include "random.hpp"
#include <algorithm>

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::HasSubstr;

TEST(Frame, EveryMessageComesBackEqual) {
  for (const auto& msg : sample_messages()) {
    frame_reader reader;
    reader.feed(frame_of(msg));
    const auto back = reader.next();
    ASSERT_TRUE(back) << describe(reader.error());
    EXPECT_EQ(*back, msg);
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.mid_frame());
    EXPECT_FALSE(reader.error());
  }
}

TEST(Frame, ErrorCarriesCodeTextAndStackOnly) {
  frame_reader reader;
  reader.feed(frame_of(error_message{
      5, {.code = errc::no_handler, .slot = "s", .param = "p", .text = "t", .stack = "k", .node = 1, .pid = 2}}));
  EXPECT_EQ(std::get<error_message>(reader.next().value()),
            (error_message{5, {.code = errc::no_handler, .text = "t", .stack = "k"}}));
}

TEST(Frame, EveryErrorCodeComesBack) {
  for (auto code = 1; code <= static_cast<int>(errc::connection_closed); ++code) {
    frame_reader reader;
    reader.feed(frame_of(error_message{1, {.code = static_cast<errc>(code)}}));
    EXPECT_EQ(std::get<error_message>(reader.next().value()).what.code, static_cast<errc>(code));
  }
}

TEST(FrameWriter, AppendsToWhatIsThere) {
  std::vector<char> out{'x'};
  ASSERT_FALSE(write_frame(out, response{1, {}}, 100));
  ASSERT_FALSE(write_frame(out, response{2, {}}, 100));
  EXPECT_EQ(out.size(), 1u + 2 * 13);
  EXPECT_EQ(out[0], 'x');
}

TEST(FrameWriter, TellsTheSizeOfAFrameBefore) {
  for (const auto& msg : sample_messages())
    EXPECT_EQ(frame_size(msg), frame_of(msg).size());
}

TEST(FrameWriter, TakesABodyOfExactlyTheLimit) {
  const std::size_t body = 1 + 8 + 5;
  std::vector<char> out;
  EXPECT_FALSE(write_frame(out, response{1, bytes(5)}, body));
  out.clear();
  const auto err = write_frame(out, response{1, bytes(6)}, body);
  EXPECT_EQ(code_of(err), errc::message_too_large);
  EXPECT_THAT(describe(err), HasSubstr("the message has 15 bytes, frame_bytes_max is 14"));
}

TEST(FrameWriter, LeavesTheBufferAloneWhenItRefuses) {
  const std::string long_name(65536, 'n');
  const std::vector<message> refused{
      request{1, long_name, "p", {}},
      request{1, "s", long_name, {}},
      handler_registered{long_name, "p"},
      handler_unregistered{"s", long_name},
      hello{1, long_name, {}},
      hello{1, "", {{long_name, ""}}},
      event_list{{"a", long_name}},
      response{1, bytes(2'000'000)},
      hello{1, "", {{"", std::string(2'000'000, 's')}}},
      event_list{std::vector<std::string>(frame_items_max + 1)},
      hello{1, "", std::vector<slot_declaration>(frame_items_max + 1)},
  };
  for (const auto& msg : refused) {
    std::vector<char> out{'a', 'b'};
    EXPECT_EQ(code_of(write_frame(out, msg, 1'000'000)), errc::message_too_large);
    EXPECT_EQ(out, (std::vector<char>{'a', 'b'}));
  }
}

TEST(FrameWriter, LongestNamesAndMostSlotsComeBack) {
  const std::string longest(65535, 'n');
  const std::vector<message> msgs{request{1, longest, longest, {}},
                                  event_list{std::vector<std::string>(frame_items_max)},
                                  hello{1, longest, std::vector<slot_declaration>(frame_items_max)}};
  frame_reader reader;
  reader.feed(frames_of(msgs));
  std::vector<message> back;
  read_all(reader, back);
  EXPECT_TRUE(back == msgs);
}

TEST(FrameWriter, CopiesThePayloadOnce) {
  if (!allocations_are_seen)
    GTEST_SKIP() << "ThreadSanitizer has its own operator new";
  const message msg = response{1, bytes(1'000'000)};
  std::vector<char> out;
  const allocation_watch watch;
  ASSERT_FALSE(write_frame(out, msg, default_frame_bytes_max));
  EXPECT_EQ(watch.total(), out.size());
}

TEST(FrameWriter, ManyFramesInOneBufferAreNotCopiedForEach) {
  const message msg = response{1, bytes(100)};
  std::vector<char> out;
  const allocation_watch watch;
  for (int i = 0; i < 10'000; ++i)
    ASSERT_FALSE(write_frame(out, msg, default_frame_bytes_max));
  EXPECT_LT(watch.total(), 5 * out.size());
}

TEST(FrameReader, ReadsManyFramesFromOneFeed) {
  std::vector<message> msgs;
  for (call_id id = 0; id < 10'000; ++id)
    msgs.push_back(response{id, to_bytes("x")});
  frame_reader reader;
  reader.feed(frames_of(msgs));
  std::vector<message> back;
  read_all(reader, back);
  EXPECT_TRUE(back == msgs);
  EXPECT_FALSE(reader.mid_frame());
}

TEST(FrameReader, JoinsFramesSplitAtEveryByte) {
  const auto msgs = sample_messages();
  const auto stream = frames_of(msgs);
  for (std::size_t split = 0; split <= stream.size(); ++split) {
    frame_reader reader;
    std::vector<message> back;
    reader.feed(bytes_view{stream}.first(split));
    read_all(reader, back);
    reader.feed({});
    reader.feed(bytes_view{stream}.subspan(split));
    read_all(reader, back);
    ASSERT_TRUE(back == msgs) << split << describe(reader.error());
    EXPECT_FALSE(reader.mid_frame());
  }
}

TEST(FrameReader, JoinsFramesThatComeByteByByte) {
  const auto msgs = sample_messages();
  const auto stream = frames_of(msgs);
  frame_reader reader;
  std::vector<message> back;
  for (const auto& x : stream) {
    reader.feed({&x, 1});
    read_all(reader, back);
  }
  EXPECT_TRUE(back == msgs);
}

TEST(FrameReader, JoinsFramesSplitAtRandomAndReadAtRandom) {
  random_source random;
  SCOPED_TRACE(random.trace());
  std::vector<message> msgs;
  for (call_id id = 0; id < 500; ++id)
    msgs.push_back(id % 50 == 0 ? message{response{id, random.random_bytes(random.below(40'000))}}
                                : message{request{id, "s", "p", random.random_bytes(random.below(50))}});
  const auto stream = frames_of(msgs);
  frame_reader reader;
  std::vector<message> back;
  for (std::size_t at = 0; at < stream.size();) {
    const auto size = std::min(stream.size() - at, random.below(random.below(10) == 0 ? 20'000 : 200));
    reader.feed(bytes_view{stream}.subspan(at, size));
    at += size;
    for (auto n = random.below(4); n > 0; --n)
      if (auto msg = reader.next())
        back.push_back(std::move(*msg));
  }
  read_all(reader, back);
  EXPECT_TRUE(back == msgs);
}

TEST(FrameReader, ReportsAFrameCutShortAtEveryByte) {
  for (const auto& msg : sample_messages()) {
    const auto frame = frame_of(msg);
    for (std::size_t size = 0; size < frame.size(); ++size) {
      frame_reader reader;
      reader.feed(bytes_view{frame}.first(size));
      EXPECT_FALSE(reader.next());
      EXPECT_FALSE(reader.error());
      EXPECT_EQ(reader.mid_frame(), size > 0);
    }
  }
}

TEST(FrameReader, BufferStaysSmallWhenOneFrameComesForEachOneRead) {
  const auto stream = frames_of(std::vector<message>(1000, response{1, bytes(200)}));
  frame_reader reader;
  reader.feed(stream); // a backlog that stays: one frame in, one frame out
  const allocation_watch watch;
  const auto frame = frame_of(response{1, bytes(200)});
  for (int i = 0; i < 20'000; ++i) {
    reader.feed(frame);
    ASSERT_TRUE(reader.next());
  }
  EXPECT_LT(watch.largest(), 4 * stream.size());
}

TEST(FrameReader, GivesTheMemoryOfAHugeFrameBack) {
  if (!allocations_are_seen)
    GTEST_SKIP() << "ThreadSanitizer has its own operator new";
  const auto huge = frame_of(response{1, bytes(8'000'000)});
  const auto small = frame_of(response{2, {}});
  frame_reader reader;
  reader.feed(huge);
  reader.feed(bytes_view{small}.first(5));
  ASSERT_TRUE(reader.next());
  const allocation_watch watch;
  reader.feed(bytes_view{small}.subspan(5));
  EXPECT_GT(watch.total(), 0u) << "the large buffer is still there";
  EXPECT_LT(watch.total(), 1000u);
  EXPECT_EQ(std::get<response>(reader.next().value()).id, 2u);
}

TEST(FrameReader, ReadsAHugeFrameThatComesInPieces) {
  const message msg = response{1, bytes(8'000'000, std::byte{7})};
  const auto huge = frame_of(msg);
  frame_reader reader;
  const allocation_watch watch;
  for (std::size_t at = 0; at < huge.size(); at += 65536) {
    EXPECT_FALSE(reader.next());
    reader.feed(bytes_view{huge}.subspan(at, std::min<std::size_t>(65536, huge.size() - at)));
  }
  EXPECT_LT(watch.total(), 4 * huge.size());
  EXPECT_TRUE(reader.next() == msg);
}

} // namespace

} // namespace cluster_channel
