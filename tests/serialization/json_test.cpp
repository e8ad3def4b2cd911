#include <cluster_channel/serialization/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.hpp"

namespace cluster_channel {

namespace {

using namespace test;
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

TEST(Json, MissingOptionalMemberIsBadPayload) {
  expect_bad<line>(R"({"name":"n","from":{"x":1,"y":2}})");
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
