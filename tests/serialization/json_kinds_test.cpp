// Every kind of element inside of every kind of container, and any JSON value as a payload.
//
// Both directions of JSON work on the bytes of a value, so one function without templates checks all of them.

#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/json_data.hpp>
#include <cluster_channel/serialization/json_value.hpp>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.hpp"
#include <cmath>

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::HasSubstr;

// -- the product --------------------------------------------------------------

enum class plain : std::int16_t { minus = -1, zero };

template <class T>
struct holder {
  T value{};
  BOOST_DESCRIBE_CLASS(holder, (), (value), (), ())
};

template <class T>
struct derived : holder<T> {
  bool flag = true;
  BOOST_DESCRIBE_CLASS(derived, (holder<T>), (flag), (), ())
};

/// Checks that a value has that JSON, and that the JSON has the bytes of the value.
void expect_both_ways(const type_description& type, const bytes& data, const std::string& text) {
  SCOPED_TRACE(signature_of(type) + " as " + text);
  const auto json = payload_to_json(type, data);
  ASSERT_TRUE(json) << describe(json.error());
  EXPECT_EQ(boost::json::serialize(**json), text);
  const auto back = request_from_json(type, boost::json::parse(text));
  ASSERT_TRUE(back) << describe(back.error());
  EXPECT_EQ(*back, data);
}

void expect_no_json(const type_description& type, const bytes& data, const std::string& why) {
  SCOPED_TRACE(signature_of(type));
  const auto json = payload_to_json(type, data);
  ASSERT_FALSE(json) << boost::json::serialize(**json);
  EXPECT_EQ(code_of(json.error()), errc::bad_payload);
  EXPECT_THAT(failure_of(json.error()).text, HasSubstr(why));
}

/// Calls `f(description, bytes, text)` for `x`, whose JSON is `text`, alone and in every container.
template <class T, class F>
void in_every_container(const T& x, const std::string& text, F f) {
  const auto with = [&f]<class U>(const U& y, const std::string& its_text) {
    f(description_of<U>(), encode(y), its_text);
  };
  with(x, text);
  with(std::optional<T>{x}, text);
  with(std::variant<empty_struct, T>{x}, text);
  with(std::vector<T>{x, x}, "[" + text + "," + text + "]");
  with(std::array<T, 1>{x}, "[" + text + "]");
  with(std::pair<bool, T>{true, x}, "[true," + text + "]");
  with(std::map<std::string, T>{{"k", x}}, R"({"k":)" + text + "}");
  with(std::map<int, T>{{1, x}}, "[[1," + text + "]]");
  with(derived<T>{{x}}, R"({"value":)" + text + R"(,"flag":true})");
  with(std::variant<bool, std::vector<std::optional<holder<T>>>>{std::vector<std::optional<holder<T>>>{{}, {{x}}}},
       R"([null,{"value":)" + text + "}]");
}

TEST(JsonKinds, EveryElementComesBackFromEveryContainer) {
  const auto check = [](const auto& x, const char* text) { in_every_container(x, text, expect_both_ways); };
  check(-7, "-7");
  check((std::int64_t{1} << 53) - 1, "9007199254740991");
  check(0.5, "5E-1");
  check(std::string{"\xE2\x82\xAC"}, "\"\xE2\x82\xAC\"");
  check(color::green, R"("green")");
  check(plain::minus, "-1");
  check(answer::yes, "true");
  check(std::chrono::milliseconds{1500}, "1500");
  check(derived<int>{{5}}, R"({"value":5,"flag":true})");
  check(std::vector<std::byte>{std::byte{0}, std::byte{255}}, "[0,255]");
  check(std::variant<int, std::vector<std::byte>>{std::vector<std::byte>{std::byte{7}}}, "[7]");
  check(std::optional<std::chrono::seconds>{3}, "3");
  check(json_value{boost::json::value{{"+1", 1}}}, R"({"+1":1})");
}

TEST(JsonKinds, WhatHasNoJsonHasNoneInAnyContainer) {
  const auto check = [](const auto& x, const char* why) {
    in_every_container(x, why, [why](const type_description& type, const bytes& data, const std::string&) {
      expect_no_json(type, data, why);
    });
  };
  check(std::nan(""), "nan is no JSON number");
  check(std::numeric_limits<float>::infinity(), "inf is no JSON number");
  check((std::int64_t{1} << 53) + 1, "9007199254740993 is beyond 2^53 - 1");
  check(std::numeric_limits<std::uint64_t>::max(), "18446744073709551615 is beyond 2^53 - 1");
  check(std::string{"\xFF"}, "no valid UTF-8");
  check(color{9}, "9 is none of its enum's enumerators");
  check(inspected{}, "its C++ type has no JSON form");
}

TEST(JsonKinds, NumbersOfEverySizeComeBackAtTheirEnds) {
  const auto check = []<class T>(T) {
    for (const auto x : {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T{}, T{1}}) {
      const auto& type = description_of<T>();
      const auto json = detail::json_of_payload(type, encode(x), json_integers::all, {});
      ASSERT_TRUE(json);
      const auto back = detail::payload_of_json(type, *json, json_integers::all);
      ASSERT_TRUE(back) << describe(back.error());
      EXPECT_EQ(*back, encode(x)) << signature_of(type) << boost::json::serialize(*json);
    }
  };
  check(std::int8_t{});
  check(std::uint8_t{});
  check(std::int16_t{});
  check(std::uint16_t{});
  check(std::int32_t{});
  check(std::uint32_t{});
  check(std::int64_t{});
  check(std::uint64_t{});
  check(float{});
  check(double{});
}

TEST(JsonKinds, IntegersBeyondTheirTypeAreRefused) {
  const auto check = []<class T>(T, const char* below, const char* above) {
    for (const auto* text : {below, above})
      EXPECT_FALSE(detail::payload_of_json(description_of<T>(), boost::json::parse(text), json_integers::all)) << text;
  };
  check(std::int8_t{}, "-129", "128");
  check(std::uint8_t{}, "-1", "256");
  check(std::int32_t{}, "-2147483649", "2147483648");
  check(std::uint32_t{}, "-1", "4294967296");
  check(std::int64_t{}, "-9223372036854775809", "9223372036854775808");
  check(std::uint64_t{}, "-1", "18446744073709551616");
}

TEST(JsonKinds, AMapWithAKeyTwiceIsRefused) {
  const auto& type = description_of<std::map<int, bool>>();
  const auto twice = request_from_json(type, boost::json::parse("[[1,true],[2,true],[1,false]]"));
  ASSERT_FALSE(twice);
  EXPECT_THAT(describe(twice.error()), HasSubstr("[2] is there for the second time"));
  EXPECT_TRUE(request_from_json(description_of<std::multimap<int, bool>>(), boost::json::parse("[[1,true],[1,true]]")));
}

// -- bytes that nobody encoded ------------------------------------------------

TEST(JsonKinds, BytesCutShortHaveNoJson) {
  for_each_sample([](const char* name, const auto& x) {
    using type = std::decay_t<decltype(x)>;
    const auto data = encode(x);
    for (std::size_t size = 0; size < data.size(); ++size)
      EXPECT_FALSE(payload_to_json(description_of<type>(), bytes_view{data}.first(size))) << name << " " << size;
    auto longer = data;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(payload_to_json(description_of<type>(), longer)) << name;
  });
}

TEST(JsonKinds, BytesThatAreNoValueSayWhere) {
  const auto why = [](const type_description& type, const bytes& data) {
    const auto json = payload_to_json(type, data);
    return json ? std::string{} : failure_of(json.error()).text;
  };
  const auto two = bytes{std::byte{2}};
  const auto ones = bytes(4, std::byte{255});
  EXPECT_EQ(why(description_of<bool>(), two),
            "the payload does not decode as bool: a bool that is neither 0 nor 1 at byte 1 of 1");
  EXPECT_THAT(why(description_of<std::optional<int>>(), two), HasSubstr("a bool that is neither"));
  EXPECT_THAT(why(description_of<std::variant<int, bool>>(), ones), HasSubstr("alternative 4294967295 of a variant"));
  EXPECT_THAT(why(description_of<std::string>(), ones), HasSubstr("more than the bytes that are left"));
  EXPECT_THAT(why(description_of<std::vector<int>>(), ones), HasSubstr("the bytes end"));
  EXPECT_THAT(why(description_of<std::vector<empty_struct>>(), ones), HasSubstr("elements of zero bytes"));
  bytes deep;
  for (std::size_t i = 0; i < 2 * decode_depth_max; ++i)
    deep.resize(deep.size() + 8, std::byte{i % 8 == 4});
  EXPECT_FALSE(why(description_of<tree>(), deep).empty());
}

// -- any JSON value -----------------------------------------------------------

constexpr auto every_kind =
    R"({"private":[null,true,-1,18446744073709551615,1.5E300,"\n"],"":{},"+1":{"a":[[]]},"default":"\u20ac"})";

TEST(JsonValue, ComesBackInBinaryWhateverItIs) {
  const json_value x{boost::json::parse(every_kind)};
  const auto back = decode<json_value>(encode(x));
  ASSERT_TRUE(back) << describe(back.error());
  EXPECT_EQ(*back, x);
  EXPECT_TRUE(decode<json_value>(encode(json_value{}))->value.is_null());
}

TEST(JsonValue, IsItselfInJson) {
  const auto data = encode(json_value{boost::json::parse(R"({"+1":[1,{"b":null}]})")});
  expect_both_ways(description_of<json_value>(), data, R"({"+1":[1,{"b":null}]})");
}

TEST(JsonValue, IsJsonInSignatures) {
  EXPECT_EQ((signature_of<std::map<std::string, json_value>>()), "map<string, json>");
}

TEST(JsonValue, WhatIsNoJsonIsNotEncoded) {
  for (const auto& x :
       {boost::json::value(std::nan("")), boost::json::value("\xFF"),
        boost::json::value{{"k", std::numeric_limits<double>::infinity()}}, boost::json::value{{"\xC0\xAF", 1}}})
    EXPECT_THROW(encode(json_value{x}), std::runtime_error);
}

TEST(JsonValue, TextThatIsNoJsonIsBadPayload) {
  for (const std::string text : {"", "{", "{}{}", "nul", "1e999", "[NaN]", "\"\xFF\"", R"({"a":1,})", R"("\ud800")"}) {
    EXPECT_FALSE(decode<json_value>(encode(text))) << text;
    EXPECT_FALSE(payload_to_json(description_of<json_value>(), encode(text))) << text;
  }
}

TEST(JsonValue, DepthIsLimitedAtBothEnds) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(decode<json_value>(encode(nested(json_value_depth_max))));
  EXPECT_FALSE(decode<json_value>(encode(nested(json_value_depth_max + 1))));
  EXPECT_FALSE(decode<json_value>(encode(nested(100'000))));
  boost::json::value deep = nullptr;
  for (std::size_t i = 0; i <= json_value_depth_max; ++i)
    deep = boost::json::array{std::move(deep)};
  EXPECT_THROW(encode(json_value{deep}), std::runtime_error);
}

TEST(JsonValue, NumberOfValuesIsLimited) {
  std::string text = "[0";
  for (std::size_t i = 0; i < json_values_max; ++i)
    text += ",0";
  EXPECT_FALSE(decode<json_value>(encode(text + "]")));
}

TEST(JsonValue, UndefinedIsNoneButAnEmptyOptionalOfOne) {
  EXPECT_FALSE(request_from_json(description_of<json_value>(), {}));
  EXPECT_TRUE(request_from_json(description_of<json_value>(), boost::json::value(nullptr)));
  EXPECT_TRUE(request_from_json(description_of<std::optional<json_value>>(), {}));
}

} // namespace

} // namespace cluster_channel
