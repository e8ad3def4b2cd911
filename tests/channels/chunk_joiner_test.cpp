// Every state and event of the joiner, and its bounds.
#include <cluster_channel/channels/chunk_joiner.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../serialization/allocations.hpp"
#include "../serialization/frame_samples.hpp"
#include "../serialization/random.hpp"
#include <algorithm>
#include <string>
#include <vector>

namespace cluster_channel::detail {

namespace {

using namespace test;
using ::testing::HasSubstr;

constexpr chunk_options small{.chunk_size = 1, .message_bytes_max = 100, .chunks_open_max = 3, .open_bytes_max = 250};

std::string problem(const chunk_joiner::result& x) {
  EXPECT_FALSE(x.joined);
  EXPECT_EQ(code_of(x.error), x.error ? errc::protocol_error : errc::none);
  return describe(x.error);
}

void expect_more(const chunk_joiner::result& x) {
  EXPECT_EQ(problem(x), "");
}

/// Gives `joiner` all of `frame` but the end.
void fill(chunk_joiner& joiner, chunk_id_type id, const bytes& frame) {
  expect_more(joiner.receive(chunk_start{id, frame.size()}));
  expect_more(joiner.receive(chunk_data{id, frame}));
}

const message sample = response{7, to_bytes("a response")};

TEST(ChunkJoiner, JoinsAMessageOfEveryKindInPiecesOfEverySize) {
  for (const auto& msg : sample_messages()) {
    if (msg.index() >= message{chunk_start{}}.index())
      continue;
    const auto frame = frame_of(msg);
    for (std::size_t piece = 1; piece <= frame.size(); ++piece) {
      chunk_joiner joiner{small};
      expect_more(joiner.receive(chunk_start{5, frame.size()}));
      for (std::size_t at = 0; at < frame.size(); at += piece) {
        const auto part = bytes_view{frame}.subspan(at, std::min(piece, frame.size() - at));
        expect_more(joiner.receive(chunk_data{5, {part.begin(), part.end()}}));
        EXPECT_TRUE(joiner.is_open());
      }
      auto result = joiner.receive(chunk_end{5});
      ASSERT_TRUE(result.joined) << describe(result.error);
      EXPECT_EQ(*result.joined, msg);
      EXPECT_FALSE(joiner.is_open());
    }
  }
}

// -- closed -------------------------------------------------------------------

TEST(ChunkJoiner, ClosedRefusesAnUnknownChunkOnce) {
  chunk_joiner joiner{small};
  EXPECT_THAT(problem(joiner.receive(chunk_data{9, bytes(1)})), HasSubstr("(9) goes on without a start"));
  expect_more(joiner.receive(chunk_data{9, bytes(1)}));
  expect_more(joiner.receive(chunk_end{9}));
}

TEST(ChunkJoiner, ClosedRefusesAnUnknownEnd) {
  chunk_joiner joiner{small};
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(problem(joiner.receive(chunk_end{9})), HasSubstr("ends without a start"));
}

TEST(ChunkJoiner, ClosedRefusesAnEndThatComesTwice) {
  chunk_joiner joiner{small};
  fill(joiner, 1, frame_of(sample));
  EXPECT_TRUE(joiner.receive(chunk_end{1}).joined);
  EXPECT_THAT(problem(joiner.receive(chunk_end{1})), HasSubstr("ends without a start"));
}

TEST(ChunkJoiner, ClosedRefusesAMessageBeyondTheLimit) {
  for (const auto size : {std::uint64_t{101}, ~std::uint64_t{0}}) {
    chunk_joiner joiner{small};
    EXPECT_THAT(problem(joiner.receive(chunk_start{1, size})),
                HasSubstr("has " + std::to_string(size) + " bytes, message_bytes_max is 100"));
    EXPECT_FALSE(joiner.is_open());
  }
}

TEST(ChunkJoiner, ClosedRefusesTooManyMessagesAtOnce) {
  chunk_joiner joiner{small};
  for (chunk_id_type id = 1; id <= 3; ++id)
    expect_more(joiner.receive(chunk_start{id, 20}));
  EXPECT_THAT(problem(joiner.receive(chunk_start{4, 20})), HasSubstr("3 others have not ended"));
  expect_more(joiner.receive(chunk_end{1}));
  expect_more(joiner.receive(chunk_start{5, 20})); // there is room again
}

TEST(ChunkJoiner, ClosedRefusesTooManyBytesAtOnce) {
  chunk_joiner joiner{small};
  expect_more(joiner.receive(chunk_start{1, 100}));
  expect_more(joiner.receive(chunk_start{2, 100}));
  EXPECT_THAT(problem(joiner.receive(chunk_start{3, 51})), HasSubstr("more than open_bytes_max, which is 250"));
  expect_more(joiner.receive(chunk_start{4, 50}));
}

// -- open ---------------------------------------------------------------------

TEST(ChunkJoiner, OpenRefusesASecondStart) {
  chunk_joiner joiner{small};
  fill(joiner, 1, frame_of(sample));
  EXPECT_THAT(problem(joiner.receive(chunk_start{1, 20})), HasSubstr("(1) started twice"));
  EXPECT_FALSE(joiner.is_open());
}

TEST(ChunkJoiner, OpenRefusesAByteTooMany) {
  const auto frame = frame_of(sample);
  chunk_joiner joiner{small};
  fill(joiner, 1, frame);
  EXPECT_THAT(problem(joiner.receive(chunk_data{1, bytes(1)})),
              HasSubstr("is longer than the " + std::to_string(frame.size()) + " bytes it began with"));
  EXPECT_FALSE(joiner.is_open());
}

TEST(ChunkJoiner, OpenRefusesAnEmptyChunk) {
  chunk_joiner joiner{small};
  expect_more(joiner.receive(chunk_start{1, 20}));
  EXPECT_THAT(problem(joiner.receive(chunk_data{1, {}})), HasSubstr("has an empty chunk"));
}

TEST(ChunkJoiner, OpenIsDroppedByAnEndAfterEveryTruncation) {
  const auto frame = frame_of(sample);
  for (std::size_t size = 0; size < frame.size(); ++size) {
    chunk_joiner joiner{small};
    expect_more(joiner.receive(chunk_start{1, frame.size()}));
    if (size > 0)
      expect_more(joiner.receive(chunk_data{1, {frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)}}));
    expect_more(joiner.receive(chunk_end{1})); // its sender could not go on
    EXPECT_FALSE(joiner.is_open());
  }
}

TEST(ChunkJoiner, OpenRefusesWhatIsNotOneFrame) {
  const auto frame = frame_of(sample);
  auto two = frames_of({sample, sample});
  auto bad = frame;
  bad[4] = std::byte{99};
  const std::vector<std::pair<bytes, std::string>> cases{
      {{}, "is not one frame"},
      {bytes(frame.begin(), frame.end() - 1), "is not one frame"},
      {two, "is not one frame"},
      {bad, "unknown type 99"},
      {frame_of(chunk_end{1}), "is itself a chunk"},
      {frame_of(chunk_start{1, 1}), "is itself a chunk"},
      {frame_of(chunk_data{1, bytes(1)}), "is itself a chunk"},
  };
  for (const auto& [data, why] : cases) {
    chunk_joiner joiner{small};
    expect_more(joiner.receive(chunk_start{1, data.size()}));
    if (!data.empty())
      expect_more(joiner.receive(chunk_data{1, data}));
    EXPECT_THAT(problem(joiner.receive(chunk_end{1})), HasSubstr(why));
    EXPECT_FALSE(joiner.is_open());
  }
}

TEST(ChunkJoiner, OpenIsDroppedWhenItStalls) {
  const auto frame = frame_of(sample);
  chunk_joiner joiner{small};
  fill(joiner, 1, frame);
  expect_more(joiner.receive(chunk_start{2, 20}));
  EXPECT_FALSE(joiner.drop_stalled());
  expect_more(joiner.receive(chunk_data{2, bytes(1)}));
  EXPECT_THAT(describe(joiner.drop_stalled()), HasSubstr("(1) has stalled after"));
  expect_more(joiner.receive(chunk_end{1}));
  EXPECT_TRUE(joiner.is_open()); // the other one moved
  EXPECT_THAT(describe(joiner.drop_stalled()), HasSubstr("(2) has stalled after 1 of 20 bytes"));
  EXPECT_FALSE(joiner.is_open());
}

TEST(ChunkJoiner, OpenIsDroppedWithItsLink) {
  const auto frame = frame_of(sample);
  chunk_joiner joiner{small};
  fill(joiner, 1, frame);
  fill(joiner, 2, frame);
  joiner.link_down();
  EXPECT_FALSE(joiner.is_open());
  expect_more(joiner.receive(chunk_data{1, bytes(1)})); // late
  expect_more(joiner.receive(chunk_end{1}));            // late
  fill(joiner, 2, frame);                               // another far end, which counts as its predecessor did
  EXPECT_TRUE(joiner.receive(chunk_end{2}).joined);
}

// -- refused ------------------------------------------------------------------

TEST(ChunkJoiner, RefusedDropsWhatStillComesAndStartsAnew) {
  const auto frame = frame_of(sample);
  chunk_joiner joiner{small};
  EXPECT_NE(problem(joiner.receive(chunk_start{1, 101})), "");
  for (int i = 0; i < 5; ++i)
    expect_more(joiner.receive(chunk_data{1, bytes(20)}));
  EXPECT_FALSE(joiner.drop_stalled());
  fill(joiner, 1, frame);
  EXPECT_TRUE(joiner.receive(chunk_end{1}).joined);
}

TEST(ChunkJoiner, RefusedIsForgottenWithItsLink) {
  chunk_joiner joiner{small};
  EXPECT_NE(problem(joiner.receive(chunk_start{1, 101})), "");
  joiner.link_down();
  EXPECT_THAT(problem(joiner.receive(chunk_data{1, bytes(1)})), HasSubstr("goes on without a start"));
}

// -- bounds -------------------------------------------------------------------

TEST(ChunkJoiner, AllocatesNothingForAnAnnouncedSize) {
  chunk_joiner joiner{{}};
  const allocation_watch watch;
  expect_more(joiner.receive(chunk_start{1, std::uint64_t{64} << 20}));
  expect_more(joiner.receive(chunk_data{1, bytes(10)}));
  EXPECT_LT(watch.largest(), 1000u);
}

TEST(ChunkJoiner, RemembersABoundedNumberOfRefusedMessages) {
  chunk_joiner joiner{small};
  for (chunk_id_type id = 0; id < 20'000; ++id)
    EXPECT_NE(problem(joiner.receive(chunk_start{id, 101})), "");
  // Beyond those it remembers, each chunk is an error.
  expect_more(joiner.receive(chunk_data{0, bytes(1)}));
  EXPECT_NE(problem(joiner.receive(chunk_data{19'999, bytes(1)})), "");
  EXPECT_NE(problem(joiner.receive(chunk_data{19'999, bytes(1)})), "");
}

TEST(ChunkJoiner, RandomChunksNeverExceedTheBounds) {
  random_source random;
  SCOPED_TRACE(random.trace());
  const auto frame = frame_of(sample);
  chunk_joiner joiner{small};
  std::size_t joined = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 50'000; ++i) {
    const chunk_id_type id = random.below(5);
    chunk_joiner::result result;
    switch (random.below(8)) {
    case 0:
      result = joiner.receive(chunk_start{id, random.below(120)});
      break;
    case 1:
      result = joiner.receive(chunk_data{id, random.random_bytes(random.below(60))});
      break;
    case 2:
      result = joiner.receive(chunk_end{id});
      break;
    case 3:
      if (random.below(20) == 0)
        joiner.link_down();
      break;
    default: // a good one, if the one before has ended
      joiner.receive(chunk_start{id, frame.size()});
      joiner.receive(chunk_data{id, frame});
      result = joiner.receive(chunk_end{id});
    }
    if (result.joined) {
      EXPECT_EQ(*result.joined, sample);
      ++joined;
    }
    refused += result.error ? 1 : 0;
  }
  EXPECT_GT(joined, 1000u);
  EXPECT_GT(refused, 1000u);
}

} // namespace

} // namespace cluster_channel::detail
