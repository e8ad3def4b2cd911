#include <cluster_channel/serialization/codec.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "allocations.hpp"
#include "random.hpp"
#include "samples.hpp"

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::HasSubstr;

bytes count(std::uint32_t n) {
  return encode(n);
}

bytes operator+(bytes a, const bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

template <class T>
void expect_bad(const bytes& data, const std::string& why) {
  const auto x = decode<T>(data);
  ASSERT_FALSE(x);
  EXPECT_EQ(code_of(x.error()), errc::bad_payload);
  EXPECT_THAT(failure_of(x.error()).text, HasSubstr(why));
}

/// A tree that is a chain of `n` nodes, as bytes.
bytes chain(std::size_t n) {
  bytes result;
  for (std::size_t i = 0; i < n; ++i)
    result = std::move(result) + count(0) + count(i + 1 < n ? 1 : 0);
  return result;
}

TEST(CodecHostile, EveryTruncationIsBadPayload) {
  for_each_sample([](const char* name, const auto& x) {
    SCOPED_TRACE(name);
    const auto data = encode(x);
    for (std::size_t size = 0; size < data.size(); ++size) {
      const auto back = decode<std::remove_cvref_t<decltype(x)>>(bytes_view{data}.first(size));
      ASSERT_FALSE(back) << size;
      EXPECT_EQ(code_of(back.error()), errc::bad_payload);
    }
  });
}

TEST(CodecHostile, BytesLeftOverAreBadPayload) {
  for_each_sample([](const char* name, const auto& x) {
    SCOPED_TRACE(name);
    const auto back = decode<std::remove_cvref_t<decltype(x)>>(encode(x) + bytes{std::byte{0}});
    ASSERT_FALSE(back);
    EXPECT_THAT(failure_of(back.error()).text, HasSubstr("left over"));
  });
}

// What is accepted must account for every byte: otherwise some length was believed that should not have been.
template <class T>
void expect_refused_or_accounted_for(const bytes& data) {
  const allocation_watch watch;
  const auto back = decode<T>(data);
  EXPECT_LE(watch.largest(), empty_elements_max * sizeof(empty_struct)); // what costs no bytes may still come
  if (back) {
    EXPECT_EQ(encode(*back).size(), data.size());
  } else {
    EXPECT_EQ(code_of(back.error()), errc::bad_payload);
  }
}

TEST(CodecHostile, EveryBitFlipIsRefusedOrAnotherValue) {
  for_each_sample([](const char* name, const auto& x) {
    SCOPED_TRACE(name);
    auto data = encode(x);
    for (std::size_t bit = 0; bit < 8 * data.size(); ++bit) {
      const auto mask = std::byte{1} << (bit % 8);
      data[bit / 8] ^= mask;
      expect_refused_or_accounted_for<std::remove_cvref_t<decltype(x)>>(data);
      data[bit / 8] ^= mask;
    }
  });
}

TEST(CodecHostile, RandomBytesAreRefusedOrAValue) {
  random_source random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 30; ++round)
    for_each_sample([&](const char* name, const auto& x) {
      SCOPED_TRACE(name);
      auto data = random.random_bytes(random.below(80));
      if (random.below(2) == 0) // small counts get further
        for (auto& y : data)
          y &= std::byte{3};
      expect_refused_or_accounted_for<std::remove_cvref_t<decltype(x)>>(data);
    });
}

TEST(CodecHostile, HugeLengthIsRefusedBeforeAllocation) {
  for (const std::uint32_t n : {1u, 17u, 1u << 20, 1u << 31, ~0u}) {
    const allocation_watch watch;
    expect_bad<std::string>(count(n), "more than the bytes that are left");
    expect_bad<bytes>(count(n), "more than the bytes that are left");
    expect_bad<std::vector<double>>(count(n) + bytes(7), "more than the bytes that are left");
    expect_bad<std::vector<std::string>>(count(n), "the bytes end");
    expect_bad<std::vector<std::vector<bool>>>(count(n), "the bytes end");
    expect_bad<std::set<std::int32_t>>(count(n), "the bytes end");
    expect_bad<std::unordered_map<std::string, point>>(count(n), "the bytes end");
    EXPECT_LT(watch.largest(), 4096u) << n;
  }
}

TEST(CodecHostile, LengthThatOverflowsInBytesIsRefused) {
  expect_bad<std::vector<double>>(count(0x20000001) + bytes(8), "more than the bytes that are left");
  expect_bad<std::vector<double>>(count(2) + bytes(15), "more than the bytes that are left");
}

struct large_when_there {
  std::array<std::int64_t, 32> numbers{};
};
BOOST_DESCRIBE_STRUCT(large_when_there, (), (numbers))

// What takes one byte, or four, and much memory.
TEST(CodecHostile, DecodedSizeIsLimited) {
  const auto many = bytes(512 << 10);
  const auto of = [&](std::size_t least) { return count(static_cast<std::uint32_t>(many.size() / least)) + many; };
  constexpr auto why = "bytes of memory for elements";
  const allocation_watch watch;
  expect_bad<std::vector<std::optional<large_when_there>>>(of(1), why);
  expect_bad<std::deque<std::optional<large_when_there>>>(of(1), why);
  expect_bad<std::list<std::optional<large_when_there>>>(of(1), why);
  expect_bad<std::vector<std::variant<std::int8_t, large_when_there>>>(of(5), why);
  expect_bad<std::vector<std::array<std::optional<large_when_there>, 4>>>(of(4), why);
  expect_bad<std::vector<std::pair<std::string, std::optional<large_when_there>>>>(of(5), why);
  EXPECT_LT(watch.largest(), 2 * decoded_bytes_max(many.size()));
}

TEST(CodecHostile, DecodedSizeOfAllContainersIsLimitedTogether) {
  bytes data = count(1000);
  const auto one = count(1000) + bytes(1000);
  for (int i = 0; i < 1000; ++i)
    data.insert(data.end(), one.begin(), one.end());
  expect_bad<std::vector<std::vector<std::optional<large_when_there>>>>(data, "bytes of memory for elements");
}

TEST(CodecHostile, SmallElementsAreNotTakenForLargeOnes) {
  std::set<std::int32_t> numbers; // 9 times its encoded size
  for (std::int32_t i = 0; i < 500'000; ++i)
    numbers.insert(numbers.end(), i);
  EXPECT_TRUE(decode<decltype(numbers)>(encode(numbers)));
  EXPECT_TRUE(decode<std::vector<std::string>>(encode(std::vector<std::string>(600'000))));
}

TEST(CodecHostile, EmptyElementsAreLimited) {
  using list = std::vector<empty_struct>;
  const auto most = decode<list>(count(empty_elements_max));
  ASSERT_TRUE(most);
  EXPECT_EQ(most->size(), empty_elements_max);
  expect_bad<list>(count(empty_elements_max + 1), "elements of zero bytes");
  expect_bad<list>(count(~0u), "elements of zero bytes");
}

TEST(CodecHostile, EmptyElementsOfAllContainersAreLimitedTogether) {
  bytes data = count(1000);
  for (int i = 0; i < 1000; ++i)
    data = std::move(data) + count(1000);
  expect_bad<std::vector<std::vector<empty_struct>>>(data, "elements of zero bytes");
}

TEST(CodecHostile, EmptyTuplesAndInspectedTypesAreLimitedToo) {
  expect_bad<std::vector<std::monostate>>(count(~0u), "elements of zero bytes");
  expect_bad<std::list<std::tuple<>>>(count(~0u), "elements of zero bytes");
  expect_bad<std::deque<std::array<std::int32_t, 0>>>(count(~0u), "elements of zero bytes");
}

TEST(CodecHostile, DepthIsLimited) {
  // A node is two values in values: the struct and the vector of its children.
  EXPECT_TRUE(decode<tree>(chain(decode_depth_max / 2)));
  expect_bad<std::vector<tree>>(count(1) + chain(decode_depth_max / 2), "nested more than 256 deep"); // one too deep
  expect_bad<tree>(chain(decode_depth_max / 2 + 1), "nested more than 256 deep");
  expect_bad<tree>(chain(1'000'000), "nested more than 256 deep");
}

TEST(CodecHostile, DepthCountsWhatIsOpenNotWhatWasRead) {
  const auto wide = tree{0, std::vector<tree>(10'000)};
  EXPECT_TRUE(decode<tree>(encode(wide)));
}

TEST(CodecHostile, BoolIsZeroOrOne) {
  for (int x = 2; x < 256; ++x) {
    const bytes data{static_cast<std::byte>(x)};
    expect_bad<bool>(data, "a bool");
    expect_bad<answer>(data, "a bool");
    expect_bad<std::optional<std::monostate>>(data, "a bool");
    expect_bad<std::vector<bool>>(count(1) + data, "a bool");
    expect_bad<std::vector<answer>>(count(1) + data, "a bool");
  }
}

TEST(CodecHostile, EnumIsNotCheckedAgainstItsEnumerators) {
  EXPECT_EQ(static_cast<int>(*decode<color>(bytes{std::byte{200}})), 200);
}

TEST(CodecHostile, UnknownAlternativeIsRefused) {
  using type = std::variant<bool, std::string>;
  expect_bad<type>(count(2) + bytes(8), "alternative 2 of a variant that has 2");
  expect_bad<type>(count(~0u) + bytes(8), "alternative 4294967295");
}

TEST(CodecHostile, KeyTwiceIsRefused) {
  const auto one = encode(std::int32_t{1});
  expect_bad<std::set<std::int32_t>>(count(2) + one + one, "a key for the second time");
  expect_bad<std::unordered_set<std::int32_t>>(count(2) + one + one, "a key for the second time");
  expect_bad<std::map<std::int32_t, std::int32_t>>(count(2) + one + one + one + one, "a key for the second time");
  EXPECT_TRUE(decode<std::multiset<std::int32_t>>(count(2) + one + one));
}

} // namespace

} // namespace cluster_channel
