// What a slot may be called with and a handler may return is decided at compile time, so most of this is too.
#include <cluster_channel/channels/slot_checks.hpp>
#include <cluster_channel/channels/slot_options.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <variant>

namespace cluster_channel {

namespace {

using cluster_channel::detail::loses_nothing;
using cluster_channel::detail::takes;

struct as_int {
  operator int() const { return 1; }
};
struct as_double {
  operator double() const { return 1; }
};
struct from_int {
  from_int(int) {}
};
enum unscoped : unsigned { one };
enum class scoped { one };

static_assert(loses_nothing<int, int>() && loses_nothing<int, long>() && loses_nothing<unsigned, std::int64_t>());
static_assert(loses_nothing<bool, int>() && loses_nothing<int, double>() && loses_nothing<float, double>());
static_assert(loses_nothing<unscoped, unsigned>() && loses_nothing<as_int, int>() && loses_nothing<int, from_int>());
static_assert(!loses_nothing<long, int>() && !loses_nothing<int, unsigned>() && !loses_nothing<unsigned, int>());
static_assert(!loses_nothing<std::int64_t, double>() && !loses_nothing<int, float>() &&
              !loses_nothing<double, float>());
static_assert(!loses_nothing<double, std::int64_t>() && !loses_nothing<int, bool>() && !loses_nothing<unscoped, int>());
static_assert(!loses_nothing<scoped, int>() && !loses_nothing<as_double, int>() && !loses_nothing<double, from_int>());
static_assert(!loses_nothing<const char*, bool>() && !loses_nothing<int*, bool>() && !loses_nothing<scoped*, bool>());

// Through optionals, pairs, tuples and variants too.
static_assert(loses_nothing<int, std::optional<int>>() && loses_nothing<std::nullopt_t, std::optional<int>>());
static_assert(!loses_nothing<double, std::optional<int>>() && !loses_nothing<const char*, std::optional<bool>>());
static_assert(!loses_nothing<std::optional<double>, std::optional<int>>());
static_assert(loses_nothing<const char (&)[2], std::optional<std::string>>());
static_assert(loses_nothing<std::pair<int, int>, std::pair<long, double>>());
static_assert(!loses_nothing<std::pair<int, double>, std::pair<int, int>>());
static_assert(!loses_nothing<std::tuple<double>, std::tuple<std::optional<int>>>());
static_assert(!loses_nothing<double, std::variant<int, std::string>>());
static_assert(loses_nothing<std::chrono::seconds, std::chrono::milliseconds>());

// Calls; for numbers, whose constants count by their value, `takes` leaves some to the call itself.
static_assert(takes<int, int> && takes<int, int, call_options> && takes<unsigned, int> && takes<void>);
static_assert(!takes<int, double> && !takes<bool, const char*> && !takes<std::string, int> && !takes<void, int>);
static_assert(!takes<std::optional<int>, double> && !takes<std::pair<int, int>, std::pair<double, int>>);

using cluster_channel::detail::narrows_answer;
using cluster_channel::detail::narrows_request;

template <class Result>
using returning = Result (*)(const int&);
static_assert(narrows_answer<returning<double>, int, int> && narrows_answer<returning<int>, int, unsigned>);
static_assert(!narrows_answer<returning<int>, int, double> && !narrows_answer<returning<caf::expected<int>>, int, int>);
static_assert(!narrows_answer<returning<caf::error>, int, int> && !narrows_answer<returning<void>, int, void>);
static_assert(narrows_request<int (*)(unsigned), int> && narrows_request<int (*)(int, promise<int>), double>);
static_assert(!narrows_request<int (*)(const double&), int> && !narrows_request<int (*)(std::string), int>);

TEST(Conversions, ConstantsOfNumbersCountByTheirValue) {
  const auto value = [](cluster_channel::detail::lossless<std::uint8_t> x) { return std::uint8_t{std::move(x)}; };
  EXPECT_EQ(value(255), 255);
  EXPECT_EQ(value({7}), 7);
  const auto rounded = [](cluster_channel::detail::lossless<float> x) { return float{std::move(x)}; };
  EXPECT_EQ(rounded(0.1), 0.1f);
  const auto perhaps = [](cluster_channel::detail::lossless<std::optional<unsigned>> x) {
    return std::optional<unsigned>{std::move(x)};
  };
  EXPECT_EQ(perhaps(3), 3u);
  EXPECT_EQ(perhaps(std::nullopt), std::nullopt);
}

TEST(Conversions, WhatDoesNotFitIsNoValueOfTheType) {
  EXPECT_FALSE((cluster_channel::detail::fits<unsigned>(-1)));
  EXPECT_FALSE((cluster_channel::detail::fits<std::int8_t>(128)));
  EXPECT_FALSE((cluster_channel::detail::fits<int>(std::uint64_t{1} << 63)));
  EXPECT_FALSE((cluster_channel::detail::fits<int>(0xFFFF'FFFFu)));
  EXPECT_FALSE((cluster_channel::detail::fits<bool>(2)));
  EXPECT_FALSE((cluster_channel::detail::fits<float>(1e300)));
  EXPECT_FALSE((cluster_channel::detail::fits<float>((1 << 24) + 1)));
  EXPECT_TRUE((cluster_channel::detail::fits<float>(1 << 24)));
  EXPECT_TRUE((cluster_channel::detail::fits<std::int8_t>(-128)));
}

} // namespace

} // namespace cluster_channel
