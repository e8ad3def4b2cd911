// Structs with more members than Boost's macro takes, and with names that no member can have.
#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/describe.hpp>
#include <cluster_channel/serialization/json.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct repository {
  std::int32_t id = 0;
  bool private_ = false;
  std::optional<std::string> default_;
  std::int32_t plus_one = 0;
  friend bool operator==(const repository&, const repository&) = default;
};
BOOST_DESCRIBE_STRUCT(repository, (), (id, private_, default_, plus_one))
CLUSTER_CHANNEL_RENAME_MEMBERS(repository, (private_, "private"), (default_, "default"), (plus_one, "+1"))

struct fork : repository {
  std::int32_t parent = 0;
};
BOOST_DESCRIBE_STRUCT(fork, (repository), (parent))
CLUSTER_CHANNEL_RENAME_MEMBERS(fork, (parent, "fork of \"…\""))

#define TEN_MEMBERS(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
struct many {
  std::int32_t TEN_MEMBERS(a), TEN_MEMBERS(b), TEN_MEMBERS(c), TEN_MEMBERS(d), TEN_MEMBERS(e), TEN_MEMBERS(f);
};
CLUSTER_CHANNEL_DESCRIBE_STRUCT(many, (),
                                (TEN_MEMBERS(a), TEN_MEMBERS(b), TEN_MEMBERS(c), TEN_MEMBERS(d), TEN_MEMBERS(e),
                                 TEN_MEMBERS(f)))

struct none {};
CLUSTER_CHANNEL_DESCRIBE_STRUCT(none, (), ())

struct more : many, none {
  std::int32_t last = 0;
};
CLUSTER_CHANNEL_DESCRIBE_STRUCT(more, (many, none), (last))

using namespace cluster_channel;

TEST(Describe, RenamedMembersTravelByTheirNewNames) {
  const repository x{.id = 1, .private_ = true, .default_ = "main", .plus_one = 7};
  const auto json = to_json(x);
  EXPECT_EQ(boost::json::serialize(json), R"({"id":1,"private":true,"default":"main","+1":7})");
  const auto back = from_json<repository>(json);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, x);
  EXPECT_EQ(*decode<repository>(encode(x)), x);
  EXPECT_EQ(signature_of<repository>(), "{id: i32, private: bool, default: optional<string>, +1: i32}");
}

TEST(Describe, OldNamesOfRenamedMembersAreUnknown) {
  const auto back = from_json<repository>(boost::json::parse(R"({"id":1,"private_":true,"+1":7})"));
  ASSERT_FALSE(back);
  EXPECT_THAT(failure_of(back.error()).text, HasSubstr("private"));
}

TEST(Describe, MembersOfBasesKeepTheNamesOfTheBase) {
  fork x;
  x.parent = 5;
  EXPECT_EQ(boost::json::serialize(to_json(x)), R"({"id":0,"private":false,"default":null,"+1":0,"fork of \"…\"":5})");
}

TEST(Describe, TakesMoreThan52Members) {
  many x{};
  x.a0 = 1;
  x.f9 = 2;
  EXPECT_EQ(encode(x).size(), 240u);
  EXPECT_EQ(decode<many>(encode(x))->f9, 2);
  EXPECT_EQ(to_json(x).as_object().size(), 60u);
  more y{};
  y.f9 = 3;
  y.last = 4;
  EXPECT_EQ(decode<more>(encode(y))->f9, 3);
  EXPECT_EQ(to_json(y).as_object().size(), 61u);
  EXPECT_THAT(signature_of<more>(), StartsWith("{a0: i32, a1: i32"));
  EXPECT_EQ(signature_of<none>(), "{}");
}

} // namespace
