#include <cluster_channel/serialization/codec.hpp>

#include <caf/meta/load_callback.hpp>
#include <caf/meta/save_callback.hpp>
#include <caf/sec.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.hpp"
#include <cmath>
#include <memory>
#include <span>
#include <string_view>

namespace cluster_channel {

namespace {

using namespace test;
using ::testing::HasSubstr;

bytes hex(std::string_view digits) {
  bytes result;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    result.push_back(static_cast<std::byte>(std::stoi(std::string{digits.substr(i, 2)}, nullptr, 16)));
  return result;
}

template <class T>
std::string problem_of(const caf::expected<T>& x) {
  return x ? "none" : failure_of(x.error()).text;
}

/// Reports from both callbacks, and fails where it is told to.
struct with_callbacks {
  std::int32_t value = 0;
  bool fail_saving = false;
  int saved = 0;
  int loaded = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, with_callbacks& x) {
  auto save = [&]() -> caf::error {
    ++x.saved;
    return x.fail_saving ? caf::make_error(caf::sec::runtime_error, "not now") : caf::error{};
  };
  auto load = [&]() -> caf::error {
    ++x.loaded;
    return x.value < 0 ? caf::make_error(caf::sec::runtime_error, "negative") : caf::error{};
  };
  return f(caf::meta::type_name("with_callbacks"), caf::meta::save_callback(save), x.value,
           caf::meta::load_callback(load));
}

struct with_array {
  std::int32_t numbers[3] = {};
  std::string names[2];
};
BOOST_DESCRIBE_STRUCT(with_array, (), (numbers, names))

/// Looks at the result of each step, as CAF's own inspect functions do.
struct stepwise {
  std::int32_t a = 0;
  std::int32_t b = 0;
};

template <class Inspector>
caf::error inspect(Inspector& f, stepwise& x) {
  return caf::error::eval([&] { return f(x.a); }, [&] { return f(x.b); });
}

struct throwing {};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, throwing&) {
  if constexpr (Inspector::writes_state)
    throw std::runtime_error{"cannot be read"};
  return f();
}

class with_private_member {
public:
  std::int32_t seen = 0;

private:
  std::int32_t unseen_ = 0;
  BOOST_DESCRIBE_CLASS(with_private_member, (), (seen), (), (unseen_))
};

class all_public {
public:
  std::int32_t seen = 0;
  BOOST_DESCRIBE_CLASS(all_public, (), (seen), (), ())
};

struct hides_a_member : point {
  std::string x;
};
BOOST_DESCRIBE_STRUCT(hides_a_member, (point), (x))

struct not_described {
  int x = 0;
};

struct without_default : point {
  explicit without_default(std::int32_t) {}
};
BOOST_DESCRIBE_STRUCT(without_default, (point), ())

static_assert(payload<point> && payload<all_public> && payload<inspected> && payload<mixed> && payload<tree>);
static_assert(payload<std::map<std::string, std::vector<std::optional<point>>>>);
static_assert(!payload<void> && slot_payload<void>);
static_assert(!payload<not_described> && !payload<std::vector<not_described>> &&
              !payload<std::optional<not_described>>);
static_assert(!payload<std::variant<int, not_described>> && !payload<std::map<int, not_described>>);
static_assert(!payload<with_private_member>, "private members would be dropped silently");
static_assert(!payload<hides_a_member>, "hidden members would be dropped silently");
static_assert(!payload<without_default>);
static_assert(!payload<long double> && !payload<std::vector<long double>>);
static_assert(!payload<int*> && !payload<const char*> && !payload<std::string_view> && !payload<std::span<int>>);
static_assert(!payload<int&> && !payload<const int>);
static_assert(!payload<std::unique_ptr<int[]>> && !payload<std::shared_ptr<void>> && !payload<std::unique_ptr<int*>>);

TEST(Codec, EveryTypeComesBackEqual) {
  for_each_sample([](const char* name, const auto& x) {
    SCOPED_TRACE(name);
    const auto back = decode<std::remove_cvref_t<decltype(x)>>(encode(x));
    ASSERT_TRUE(back) << problem_of(back);
    EXPECT_EQ(*back, x);
  });
}

TEST(Codec, NotANumberComesBack) {
  EXPECT_TRUE(std::isnan(*decode<double>(encode(std::numeric_limits<double>::quiet_NaN()))));
}

TEST(Codec, LayoutIsTheDocumentedOne) {
  EXPECT_EQ(encode(std::int32_t{-2}), hex("feffffff"));
  EXPECT_EQ(encode(std::uint64_t{1}), hex("0100000000000000"));
  EXPECT_EQ(encode(1.0), hex("000000000000f03f"));
  EXPECT_EQ(encode(true), hex("01"));
  EXPECT_EQ(encode(color::blue), hex("02"));
  EXPECT_EQ(encode(std::string{"ab"}), hex("020000006162"));
  EXPECT_EQ(encode(std::vector<std::int16_t>{1, 2}), hex("0200000001000200"));
  EXPECT_EQ(encode(std::vector<bool>{true, false}), hex("020000000100"));
  EXPECT_EQ((encode(std::map<std::int8_t, bool>{{1, true}, {2, false}})), hex("0200000001010200"));
  EXPECT_EQ((encode(std::array<std::int8_t, 2>{1, 2})), hex("0102"));
  EXPECT_EQ((encode(std::tuple{std::int8_t{1}, std::string{"a"}})), hex("010100000061"));
  EXPECT_EQ(encode(std::optional<std::int8_t>{}), hex("00"));
  EXPECT_EQ(encode(std::optional<std::int8_t>{5}), hex("0105"));
  EXPECT_EQ((encode(std::variant<std::int8_t, bool>{true})), hex("0100000001"));
  EXPECT_EQ(encode(std::monostate{}), bytes{});
  EXPECT_EQ(encode(std::chrono::duration<std::int16_t>{3}), hex("0300"));
  EXPECT_EQ(encode(point{1, 2}), hex("0100000002000000"));
  EXPECT_EQ(encode(inspected{1, "b", {}}), hex("01000000010000006200000000"));
}

TEST(Codec, BaseMembersComeFirst) {
  named_point x;
  x.x = 1;
  x.y = 2;
  x.name = "n";
  EXPECT_EQ(encode(x), hex("0100000002000000010000006e00"));
}

TEST(Codec, CArraysOfADescribedStructComeBack) {
  const auto back = decode<with_array>(encode(with_array{{1, 2, 3}, {"a", "b"}}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->numbers[2], 3);
  EXPECT_EQ(back->names[1], "b");
}

TEST(Codec, LargeArrayComesBack) {
  static std::array<std::int32_t, 20'000> x{};
  x.back() = 7;
  const auto data = encode(x);
  EXPECT_EQ(data.size(), sizeof x);
  EXPECT_EQ(decode<std::decay_t<decltype(x)>>(data)->back(), 7);
}

TEST(Codec, SaveCallbackRunsOnEncodingOnly) {
  with_callbacks x{.value = 5};
  const auto back = decode<with_callbacks>(encode(x));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->value, 5);
  EXPECT_EQ(x.saved, 1);
  EXPECT_EQ(x.loaded, 0);
  EXPECT_EQ(back->saved, 0);
  EXPECT_EQ(back->loaded, 1);
}

TEST(Codec, FailingSaveCallbackIsThrown) {
  try {
    encode(with_callbacks{.value = 5, .fail_saving = true});
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& ex) {
    EXPECT_THAT(ex.what(), HasSubstr("not now"));
  }
}

TEST(Codec, FailingSaveCallbackInAContainerIsThrown) {
  EXPECT_THROW(encode(std::vector{with_callbacks{}, with_callbacks{.fail_saving = true}}), std::runtime_error);
}

TEST(Codec, FailingLoadCallbackIsBadPayload) {
  const auto back = decode<with_callbacks>(encode(with_callbacks{.value = -5}));
  ASSERT_FALSE(back);
  EXPECT_EQ(code_of(back.error()), errc::bad_payload);
  EXPECT_THAT(problem_of(back), HasSubstr("negative"));
}

TEST(Codec, InspectThatReturnsEachErrorIsUnderstood) {
  const auto back = decode<stepwise>(encode(stepwise{1, 2}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->b, 2);
  EXPECT_THAT(problem_of(decode<stepwise>(hex("01000000"))), HasSubstr("at byte 4 of 4"));
}

TEST(Codec, ExceptionOfAnInspectIsBadPayload) {
  const auto back = decode<throwing>({});
  ASSERT_FALSE(back);
  EXPECT_EQ(code_of(back.error()), errc::bad_payload);
  EXPECT_THAT(problem_of(back), HasSubstr("cannot be read"));
}

TEST(Codec, ErrorNamesTypeProblemAndPosition) {
  EXPECT_EQ(problem_of(decode<point>(hex("010000000200"))),
            "the payload does not decode as {x: i32, y: i32}: the bytes end, 4 more are needed at byte 4 of 6");
}

} // namespace

} // namespace cluster_channel
