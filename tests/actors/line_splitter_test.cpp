#include <cluster_channel/actors/detail/line_splitter.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace cluster_channel::detail {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using texts = std::vector<std::string>;

/// The lines of a stream that comes in these chunks and then ends.
texts lines_of(const texts& chunks, std::size_t line_bytes_max = 100) {
  texts result;
  line_splitter splitter{line_bytes_max};
  const auto take = [&](std::string_view line) { result.emplace_back(line); };
  for (const auto& chunk : chunks)
    splitter.feed(chunk, take);
  splitter.finish(take);
  return result;
}

/// What the splitter should say, from the whole stream at once.
texts expected_lines(std::string stream, std::size_t line_bytes_max) {
  texts result;
  if (!stream.empty() && stream.back() != '\n')
    stream += '\n';
  for (std::size_t begin = 0; begin < stream.size();) {
    const auto end = stream.find('\n', begin);
    auto line = stream.substr(begin, end - begin);
    for (; line.size() > line_bytes_max; line.erase(0, line_bytes_max))
      result.push_back(line.substr(0, line_bytes_max));
    result.push_back(line);
    begin = end + 1;
  }
  return result;
}

TEST(LineSplitter, SaysNothingOfAnEmptyStream) {
  EXPECT_THAT(lines_of({}), IsEmpty());
  EXPECT_THAT(lines_of({""}), IsEmpty());
}

TEST(LineSplitter, KeepsEmptyLines) {
  EXPECT_THAT(lines_of({"\n\na\n\n"}), ElementsAre("", "", "a", ""));
}

TEST(LineSplitter, HandsOnTheLastLineWithoutItsNewline) {
  EXPECT_THAT(lines_of({"a\nb"}), ElementsAre("a", "b"));
}

TEST(LineSplitter, TakesOnlyTheNewlineAway) {
  EXPECT_THAT(lines_of({"a\r\n \t\n"}), ElementsAre("a\r", " \t"));
  EXPECT_THAT(lines_of({std::string{"\0\xff\n", 3}}), ElementsAre(std::string{"\0\xff", 2}));
}

TEST(LineSplitter, KeepsALineOfTheLimitWhole) {
  EXPECT_THAT(lines_of({"12345\nx\n"}, 5), ElementsAre("12345", "x"));
  EXPECT_THAT(lines_of({"12345", "\nx\n"}, 5), ElementsAre("12345", "x"));
  EXPECT_THAT(lines_of({"12345"}, 5), ElementsAre("12345"));
}

TEST(LineSplitter, CutsALongerLineIntoPieces) {
  EXPECT_THAT(lines_of({"123456\nx\n"}, 5), ElementsAre("12345", "6", "x"));
  EXPECT_THAT(lines_of({"12345", "6", "\nx\n"}, 5), ElementsAre("12345", "6", "x"));
  EXPECT_THAT(lines_of({"1234567890\n"}, 5), ElementsAre("12345", "67890"));
}

TEST(LineSplitter, DoesNotDependOnWhereTheStreamIsCut) {
  const std::string stream = "one\n\ntwo and three\n12345678901234567890\n1234567\nlast";
  for (std::size_t limit = 1; limit <= stream.size() + 1; ++limit) {
    const auto expected = expected_lines(stream, limit);
    for (std::size_t i = 0; i <= stream.size(); ++i)
      for (std::size_t j = i; j <= stream.size(); ++j)
        ASSERT_EQ(lines_of({stream.substr(0, i), stream.substr(i, j - i), stream.substr(j)}, limit), expected)
            << "cut at " << i << " and " << j << ", limit " << limit;
  }
}

TEST(LineSplitter, AgreesWithASimplerOneOnRandomStreams) {
  const auto* given = std::getenv("CLUSTER_CHANNEL_TEST_SEED");
  const auto seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  SCOPED_TRACE("CLUSTER_CHANNEL_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random{seed};
  const auto up_to = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>{0, most}(random); };
  for (int round = 0; round < 2000; ++round) {
    const auto limit = 1 + up_to(8);
    std::string stream;
    texts chunks;
    for (auto left = up_to(10); left > 0; --left) {
      std::string chunk;
      for (auto size = up_to(12); size > 0; --size)
        chunk += up_to(3) == 0 ? '\n' : 'x';
      stream += chunk;
      chunks.push_back(chunk);
    }
    ASSERT_EQ(lines_of(chunks, limit), expected_lines(stream, limit));
  }
}

} // namespace

} // namespace cluster_channel::detail
