#include <cluster_channel/serialization/json.hpp>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.hpp"
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::HasSubstr;
using ::testing::StartsWith;

template <class T>
void expect_json(const T& x, const char* text) {
  const auto json = to_json(x);
  EXPECT_EQ(boost::json::serialize(json), text);
  const auto back = from_json<T>(boost::json::parse(text));
  ASSERT_TRUE(back) << text;
  EXPECT_EQ(*back, x) << text;
}

template <class T>
void expect_bad(const char* text) {
  const auto x = from_json<T>(boost::json::parse(text));
  ASSERT_FALSE(x) << text;
  EXPECT_EQ(code_of(x.error()), errc::bad_payload);
  EXPECT_THAT(failure_of(x.error()).text, StartsWith("the JSON does not fit the type: "));
}

struct line {
  std::string name;
  point from;
  std::optional<point> to;
  friend bool operator==(const line&, const line&) = default;
};
BOOST_DESCRIBE_STRUCT(line, (), (name, from, to))

struct picky {
  int value = 0;
};

BOOST_DESCRIBE_STRUCT(picky, (), (value))

picky tag_invoke(boost::json::value_to_tag<picky>, const boost::json::value&) {
  throw std::runtime_error{"no"};
}

TEST(Json, ValuesComeBack) {
  expect_json(true, "true");
  expect_json(-7, "-7");
  expect_json(std::string{"a\"b"}, R"("a\"b")");
  expect_json(std::vector<int>{1, 2}, "[1,2]");
  expect_json(std::set<std::string>{"a", "b"}, R"(["a","b"])");
  expect_json(std::map<std::string, int>{{"k", 1}}, R"({"k":1})");
  expect_json(std::pair<int, std::string>{1, "x"}, R"([1,"x"])");
  expect_json(std::optional<int>{}, "null");
  expect_json(std::optional<int>{3}, "3");
  expect_json(std::variant<int, std::string>{"s"}, R"("s")");
  expect_json(color::green, R"("green")");
}

TEST(Json, DescribedStructsAreObjects) {
  expect_json(line{"n", point{1, 2}, {}}, R"({"name":"n","from":{"x":1,"y":2},"to":null})");
  expect_json(line{"n", {}, point{3, 4}}, R"({"name":"n","from":{"x":0,"y":0},"to":{"x":3,"y":4}})");
  expect_json(tree{1, {tree{2, {}}}}, R"({"value":1,"children":[{"value":2,"children":[]}]})");
}

TEST(Json, MissingMemberIsBadPayload) {
  expect_bad<point>(R"({"x":1})");
  expect_bad<point>("{}");
}

TEST(Json, MissingOptionalMemberIsEmptyAsJavaScriptLeavesOutWhatIsUndefined) {
  const auto x = from_json<line>(boost::json::parse(R"({"name":"n","from":{"x":1,"y":2}})"));
  ASSERT_TRUE(x) << describe(x.error());
  EXPECT_EQ(*x, (line{"n", {1, 2}, {}}));
}

TEST(Json, ExtraMemberIsBadPayload) {
  expect_bad<point>(R"({"x":1,"y":2,"z":3})");
}

TEST(Json, WrongKindIsBadPayload) {
  expect_bad<point>("[1,2]");
  expect_bad<point>(R"({"x":"1","y":2})");
  expect_bad<std::string>("1");
  expect_bad<std::vector<int>>("{}");
  expect_bad<bool>("0");
  expect_bad<color>(R"("purple")");
  expect_bad<std::variant<int, std::string>>("[]");
}

TEST(Json, NumberThatDoesNotFitIsBadPayload) {
  expect_bad<std::uint8_t>("300");
  expect_bad<std::uint32_t>("-1");
  expect_bad<int>("1.5");
}

TEST(Json, IntegersOfSixtyFourBitsComeBackUnlessJavaScriptReadsThem) {
  expect_json(std::numeric_limits<std::int64_t>::max(), "9223372036854775807");
  expect_json(std::numeric_limits<std::int64_t>::min(), "-9223372036854775808");
  expect_json(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615");
}

TEST(Json, SafeIntegersEndWhereDoublesAreNoExactIntegersAnyMore) {
  const std::int64_t most = 9'007'199'254'740'991;
  EXPECT_EQ(to_json(most, json_integers::safe), most);
  EXPECT_EQ(to_json(-most, json_integers::safe), -most);
  EXPECT_THROW(to_json(most + 1, json_integers::safe), std::range_error);
  EXPECT_THROW(to_json(-most - 1, json_integers::safe), std::range_error);
  EXPECT_THROW(to_json(std::numeric_limits<std::uint64_t>::max(), json_integers::safe), std::range_error);
  EXPECT_TRUE(from_json<std::int64_t>(boost::json::value(most), json_integers::safe));
  EXPECT_FALSE(from_json<std::int64_t>(boost::json::value(most + 1), json_integers::safe));
  EXPECT_FALSE(from_json<std::uint64_t>(boost::json::value(most + 1), json_integers::safe));
}

TEST(Json, AnIntegerWrittenAsADoubleIsReadOnlyWhileItIsExact) {
  EXPECT_EQ(*from_json<int>(boost::json::parse("5e3")), 5000);
  EXPECT_EQ(*from_json<std::uint8_t>(boost::json::parse("2.55e2")), 255);
  expect_bad<std::uint64_t>("1e19");
  expect_bad<std::uint8_t>("2.56e2");
}

TEST(Json, NumbersAreDoublesOfAnyKind) {
  EXPECT_EQ(*from_json<double>(boost::json::parse("3")), 3.0);
  EXPECT_EQ(*from_json<double>(boost::json::parse("18446744073709551615")), 18446744073709551615.0);
  EXPECT_EQ(*from_json<float>(boost::json::parse("0.1")), 0.1F);
  expect_bad<float>("1e300");
  EXPECT_THROW(to_json(std::numeric_limits<double>::infinity()), std::range_error);
  EXPECT_THROW(to_json(std::nan("")), std::range_error);
}

TEST(Json, WhatIsNoUtf8HasNoJson) {
  expect_json(std::string{"\xE2\x82\xAC \xF0\x9F\x98\x80"}, "\"\xE2\x82\xAC \xF0\x9F\x98\x80\"");
  for (const char* text : {"\x80", "\xC0\xAF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                           "\xF0\x9F\x98", "\xE2\x82\x28", "\xFF"})
    EXPECT_THROW(to_json(std::string{text}), std::range_error) << testing::PrintToString(std::string{text});
  EXPECT_THROW(to_json(std::map<std::string, int>{{"\xFF", 1}}), std::range_error);
}

TEST(Json, KindsThatOnlyThisLibraryWrites) {
  expect_json(std::chrono::milliseconds{1500}, "1500");
  expect_json(std::map<int, std::string>{{1, "a"}, {2, "b"}}, R"([[1,"a"],[2,"b"]])");
  expect_json(std::vector<std::byte>{std::byte{0}, std::byte{255}}, "[0,255]");
  expect_json(std::vector<bool>{true, false}, "[true,false]");
  expect_json(std::monostate{}, "null");
  expect_json(std::array<int, 2>{4, 5}, "[4,5]");
}

TEST(Json, NodesBufferIsReadAsBytes) {
  const auto x = from_json<std::vector<std::byte>>(boost::json::parse(R"({"type":"Buffer","data":[1,2]})"));
  ASSERT_TRUE(x) << describe(x.error());
  EXPECT_EQ(*x, (std::vector<std::byte>{std::byte{1}, std::byte{2}}));
  expect_bad<std::vector<int>>(R"({"type":"Buffer","data":[1,2]})");
}

TEST(Json, ASetWithAnElementTwiceIsBadPayload) {
  expect_bad<std::set<int>>("[1,1]");
}

struct leaf {
  int size = 0;
};
BOOST_DESCRIBE_STRUCT(leaf, (), (size))

/// Either kind has other members.
struct branch_kid;
struct branch {
  std::vector<branch_kid> kids;
};
struct branch_kid {
  std::variant<leaf, branch> kid;
};
BOOST_DESCRIBE_STRUCT(branch, (), (kids))
BOOST_DESCRIBE_STRUCT(branch_kid, (), (kid))

/// Nothing tells the kinds apart.
struct twin_kid;
struct twin {
  std::vector<twin_kid> kids;
};
struct other_twin {
  std::vector<twin_kid> kids;
};
struct twin_kid {
  std::variant<twin, other_twin> kid;
};
BOOST_DESCRIBE_STRUCT(twin, (), (kids))
BOOST_DESCRIBE_STRUCT(other_twin, (), (kids))
BOOST_DESCRIBE_STRUCT(twin_kid, (), (kid))

boost::json::value nested(const std::string& innermost, int depth) {
  std::string text = innermost;
  for (int i = 0; i < depth; ++i)
    text = R"({"kids":[{"kid":)" + text + "}]}";
  boost::json::parse_options deep;
  deep.max_depth = 1000;
  return boost::json::parse(text, {}, deep);
}

TEST(Json, VariantsOfNestedStructsAreToldApartByTheirNames) {
  const auto x = from_json<branch>(nested(R"({"size":1})", 200));
  EXPECT_TRUE(x) << describe(x.error());
}

TEST(Json, VariantsThatTakeTooManyStepsToTellApartAreAnError) {
  const auto x = from_json<twin>(nested("17", 60));
  ASSERT_FALSE(x);
  EXPECT_THAT(failure_of(x.error()).text, HasSubstr("too many steps"));
}

TEST(Json, AMultimapKeepsAllItsEntries) {
  expect_json(std::multimap<std::string, int>{{"a", 1}, {"a", 2}}, R"([["a",1],["a",2]])");
}

TEST(Json, ProblemsSayWhereTheyAre) {
  const auto x = from_json<std::vector<line>>(boost::json::parse(R"([{"name":"n","from":{"x":"1","y":2}}])"));
  ASSERT_FALSE(x);
  EXPECT_EQ(failure_of(x.error()).text,
            "the JSON does not fit the type: [0]: from: x: an integer was expected, string came");
}

TEST(Json, KeyTwiceTakesTheLast) {
  const auto x = from_json<std::map<std::string, int>>(boost::json::parse(R"({"a":1,"a":2})"));
  ASSERT_TRUE(x);
  EXPECT_EQ(x->at("a"), 2);
}

TEST(Json, ExceptionOfAConversionIsBadPayload) {
  expect_bad<picky>("1");
  expect_bad<std::vector<picky>>("[1]");
}

} // namespace

} // namespace cluster_channel
