// Payload types of every kind, and a value or two of each.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/error.hpp>

#include <boost/describe.hpp>
#include <caf/meta/hex_formatted.hpp>
#include <caf/meta/omittable.hpp>
#include <caf/meta/omittable_if_empty.hpp>
#include <caf/meta/omittable_if_none.hpp>
#include <caf/meta/type_name.hpp>
#include <caf/optional.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace cluster_channel::test {

enum class color : std::uint8_t { red, green, blue };
BOOST_DESCRIBE_ENUM(color, red, green, blue)

enum class answer : bool { no, yes };

struct empty_struct {
  friend bool operator==(const empty_struct&, const empty_struct&) = default;
};
BOOST_DESCRIBE_STRUCT(empty_struct, (), ())

struct point {
  std::int32_t x = 0;
  std::int32_t y = 0;
  friend bool operator==(const point&, const point&) = default;
};
BOOST_DESCRIBE_STRUCT(point, (), (x, y))

struct named_point : point {
  std::string name;
  std::optional<point> next;
  friend bool operator==(const named_point&, const named_point&) = default;
};
BOOST_DESCRIBE_STRUCT(named_point, (point), (name, next))

struct tree {
  std::int32_t value = 0;
  std::vector<tree> children;
  friend bool operator==(const tree&, const tree&) = default;
};
BOOST_DESCRIBE_STRUCT(tree, (), (value, children))

/// Known to CAF only.
struct inspected {
  std::int32_t a = 0;
  std::string b;
  std::vector<point> c;
  friend bool operator==(const inspected&, const inspected&) = default;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, inspected& x) {
  return f(caf::meta::type_name("inspected"), caf::meta::hex_formatted(), x.a, caf::meta::omittable_if_empty(), x.b,
           caf::meta::omittable(), caf::meta::omittable_if_none(), x.c);
}

/// Described, with types inside that only CAF knows.
struct mixed {
  std::vector<inspected> items;
  std::map<std::string, inspected> by_name;
  std::variant<std::monostate, inspected, std::string> one;
  friend bool operator==(const mixed&, const mixed&) = default;
};
BOOST_DESCRIBE_STRUCT(mixed, (), (items, by_name, one))

/// Calls `f(name, value)` for each sample.
template <class F>
void for_each_sample(F f) {
  using namespace std::chrono_literals;
  const auto bounds = [&]<class T>(const char* name, T) {
    f(name, T{});
    f(name, std::numeric_limits<T>::lowest());
    f(name, std::numeric_limits<T>::max());
    f(name, std::numeric_limits<T>::min());
  };
  bounds("i8", std::int8_t{});
  bounds("u8", std::uint8_t{});
  bounds("i16", std::int16_t{});
  bounds("u16", std::uint16_t{});
  bounds("i32", std::int32_t{});
  bounds("u32", std::uint32_t{});
  bounds("i64", std::int64_t{});
  bounds("u64", std::uint64_t{});
  bounds("f32", float{});
  bounds("f64", double{});
  f("infinity", std::numeric_limits<double>::infinity());
  f("char", 'x');
  f("bool", true);
  f("bool", false);
  f("enum", color::blue);
  f("bool enum", answer::yes);
  f("empty string", std::string{});
  f("string", std::string{"a \0 in the middle", 17});
  f("bytes", bytes{std::byte{0}, std::byte{255}});
  f("vector", std::vector<double>{0.5, -1e300});
  f("vector of enums", std::vector<color>{color::red, color::blue});
  f("vector of bool", std::vector<bool>{true, false, true});
  f("vector of strings", std::vector<std::string>{"", "b", "cc"});
  f("empty vector", std::vector<std::string>{});
  f("nested vector", std::vector<std::vector<std::int16_t>>{{}, {1}, {2, 3}});
  f("deque", std::deque<std::int32_t>{1, 2});
  f("list", std::list<std::string>{"x", "y"});
  f("set", std::set<std::string>{"a", "b"});
  f("multiset", std::multiset<std::int32_t>{1, 1, 2});
  f("map", std::map<std::string, std::int32_t>{{"a", 1}, {"b", 2}});
  f("multimap", std::multimap<std::int32_t, std::string>{{1, "a"}, {1, "b"}});
  f("unordered_set", std::unordered_set<std::int32_t>{3, 1, 2});
  f("unordered_map", std::unordered_map<std::string, point>{{"p", {1, 2}}, {"q", {3, 4}}});
  f("array", std::array<std::int32_t, 3>{1, 2, 3});
  f("array of strings", std::array<std::string, 2>{"a", "b"});
  f("empty array", std::array<std::int32_t, 0>{});
  f("pair", std::pair<std::string, bool>{"k", true});
  f("tuple", std::tuple<std::int8_t, std::string, double>{1, "two", 3.0});
  f("empty tuple", std::tuple<>{});
  f("optional", std::optional<std::string>{"here"});
  f("empty optional", std::optional<std::string>{});
  f("nested optional", std::optional<std::optional<bool>>{std::optional<bool>{}});
  f("caf::optional", caf::optional<std::int32_t>{7});
  f("empty caf::optional", caf::optional<std::int32_t>{});
  f("variant", std::variant<std::int32_t, std::string, point>{point{1, 2}});
  f("variant", std::variant<std::int32_t, std::string, point>{std::string{"s"}});
  f("monostate", std::monostate{});
  f("duration", std::chrono::nanoseconds{-5});
  f("double duration", std::chrono::duration<double>{1.5});
  f("empty struct", empty_struct{});
  f("empty structs", std::vector<empty_struct>(3));
  f("struct", point{-1, 1});
  f("derived struct", [] {
    named_point x;
    x.x = 1;
    x.y = 2;
    x.name = "n";
    x.next = point{3, 4};
    return x;
  }());
  f("recursive struct", tree{1, {tree{2, {}}, tree{3, {tree{4, {}}}}}});
  f("inspected", inspected{1, "b", {{1, 2}}});
  f("mixed", mixed{{{1, "x", {}}, {2, "", {{5, 6}}}}, {{"k", {3, "y", {}}}}, inspected{4, "z", {}}});
  f("failure", failure{.code = errc::node_died, .slot = "s", .text = "t", .node = 3, .signal = 9, .ran_for = 12us});
}

} // namespace cluster_channel::test
