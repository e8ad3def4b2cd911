#include <cluster_channel/serialization/signature.hpp>

#include <gtest/gtest.h>

#include "samples.hpp"

namespace cluster_channel {

namespace {

using namespace test;

struct nameless {
  int x = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, nameless& x) {
  return f(x.x);
}

enum class not_described_enum : std::uint16_t { one };

// Two versions of one enum: the later one has an enumerator more, in the middle.
namespace before {
enum class level { low, high };
BOOST_DESCRIBE_ENUM(level, low, high)
} // namespace before
namespace after {
enum class level { low, middle, high };
BOOST_DESCRIBE_ENUM(level, high, middle, low)
} // namespace after

struct same_as_point {
  std::int32_t x = 0;
  std::int32_t y = 0;
};
BOOST_DESCRIBE_STRUCT(same_as_point, (), (x, y))

struct forest {
  std::vector<tree> trees;
  std::map<std::string, std::vector<forest>> parts;
};
BOOST_DESCRIBE_STRUCT(forest, (), (trees, parts))

TEST(Signature, ScalarsAreNamedByKindAndWidth) {
  EXPECT_EQ(signature_of<std::int8_t>(), "i8");
  EXPECT_EQ(signature_of<std::uint16_t>(), "u16");
  EXPECT_EQ(signature_of<int>(), "i32");
  EXPECT_EQ(signature_of<std::uint64_t>(), "u64");
  EXPECT_EQ(signature_of<float>(), "f32");
  EXPECT_EQ(signature_of<double>(), "f64");
  EXPECT_EQ(signature_of<bool>(), "bool");
  EXPECT_EQ(signature_of<color>(), "enum u8 {red = 0, green = 1, blue = 2}");
  EXPECT_EQ(signature_of<not_described_enum>(), "enum u16");
  EXPECT_EQ(signature_of<answer>(), "enum bool");
  EXPECT_EQ(signature_of<void>(), "void");
  EXPECT_EQ(signature_of<std::monostate>(), "nothing");
  EXPECT_EQ(signature_of<std::chrono::milliseconds>(), "i64 * 1/1000 s");
}

TEST(Signature, EnumsDifferInNamesAndValuesOfTheirEnumerators) {
  EXPECT_EQ(signature_of<before::level>(), "enum i32 {low = 0, high = 1}");
  EXPECT_EQ(signature_of<after::level>(), "enum i32 {low = 0, middle = 1, high = 2}");
}

TEST(Signature, ContainersShowTheirElements) {
  EXPECT_EQ(signature_of<std::string>(), "string");
  EXPECT_EQ(signature_of<bytes>(), "[enum u8]");
  EXPECT_EQ(signature_of<std::vector<bool>>(), "[bool]");
  EXPECT_EQ(signature_of<std::set<std::vector<double>>>(), "[[f64]]");
  EXPECT_EQ((signature_of<std::array<int, 3>>()), "[i32; 3]");
  EXPECT_EQ((signature_of<std::map<std::string, point>>()), "map<string, {x: i32, y: i32}>");
  EXPECT_EQ((signature_of<std::unordered_map<int, bool>>()), "map<i32, bool>");
  EXPECT_EQ((signature_of<std::pair<int, std::string>>()), "(i32, string)");
  EXPECT_EQ((signature_of<std::tuple<int>>()), "(i32)");
  EXPECT_EQ(signature_of<std::tuple<>>(), "()");
}

TEST(Signature, OptionalsAndVariants) {
  EXPECT_EQ(signature_of<std::optional<int>>(), "optional<i32>");
  EXPECT_EQ(signature_of<caf::optional<int>>(), "optional<i32>");
  EXPECT_EQ((signature_of<std::variant<int, std::string>>()), "i32 | string");
  EXPECT_EQ((signature_of<std::variant<int, std::variant<bool, std::string>>>()), "i32 | (bool | string)");
}

TEST(Signature, StructsShowTheirMembersAndThoseOfTheirBases) {
  EXPECT_EQ(signature_of<empty_struct>(), "{}");
  EXPECT_EQ(signature_of<named_point>(), "{x: i32, y: i32, name: string, next: optional<{x: i32, y: i32}>}");
}

TEST(Signature, NamesOfStructsDoNotCount) {
  EXPECT_EQ(signature_of<point>(), signature_of<same_as_point>());
}

TEST(Signature, RecursiveTypesEnd) {
  EXPECT_EQ(signature_of<tree>(), "{value: i32, children: [^1]}");
  EXPECT_EQ(signature_of<forest>(), "{trees: [{value: i32, children: [^1]}], parts: map<string, [^1]>}");
}

TEST(Signature, InspectedTypesAreTheNameTheyGiveThemselves) {
  EXPECT_EQ(signature_of<inspected>(), "inspected");
  EXPECT_EQ(signature_of<failure>(), "cluster_channel::failure");
  EXPECT_EQ(signature_of<nameless>(), "opaque");
}

TEST(Signature, SlotShowsRequestAndResponse) {
  EXPECT_EQ((slot_signature<point, std::vector<int>>()), "{x: i32, y: i32} -> [i32]");
  EXPECT_EQ((slot_signature<void, void>()), "void -> void");
}

} // namespace

} // namespace cluster_channel
