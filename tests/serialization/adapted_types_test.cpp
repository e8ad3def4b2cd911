// Types that are not one's own: adapters, of the library's and of a user's, and owning pointers; in every codec.
#include <cluster_channel/serialization/caf_message.hpp>
#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/json.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/deep_to_string.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A class of other people's, with a container's face, which is not how it shall travel.
namespace lib {

class version {
public:
  version() = default;
  version(int major, int minor) : parts_{major, minor} {
    if (major < 0)
      throw std::invalid_argument{"versions begin at 0"};
  }
  int major_part() const { return parts_.first; }
  int minor_part() const { return parts_.second; }
  friend auto operator<=>(const version&, const version&) = default;

private:
  std::pair<int, int> parts_;
};

} // namespace lib

template <>
struct cluster_channel::payload_adapter<lib::version> {
  using travels_as = std::pair<int, int>;
  static travels_as to_payload(const lib::version& x) { return {x.major_part(), x.minor_part()}; }
  static lib::version from_payload(travels_as x) { return {x.first, x.second}; }
  static constexpr const char* meaning = "version";
};

namespace cluster_channel {

namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;
using system_time = std::chrono::system_clock::time_point;

struct release {
  lib::version number;
  std::optional<lib::version> before;
  std::map<lib::version, std::vector<lib::version>> fixes;
  std::filesystem::path file;
  system_time made;
  std::int32_t sizes[2][3] = {};
  std::string names[2];
  friend bool operator==(const release&, const release&) = default;
};
BOOST_DESCRIBE_STRUCT(release, (), (number, before, fixes, file, made, sizes, names))

release a_release() {
  return {.number = {1, 2},
          .before = lib::version{1, 1},
          .fixes = {{{1, 0}, {{0, 9}, {0, 8}}}},
          .file = "/srv/a b.tar",
          .made = system_time{1500ms},
          .sizes = {{1, 2, 3}, {4, 5, 6}},
          .names = {"a", "b"}};
}

struct chain {
  int value = 0;
  std::unique_ptr<chain> next;
};
BOOST_DESCRIBE_STRUCT(chain, (), (value, next))

TEST(AdaptedTypes, ComeBackFromBytes) {
  const auto back = decode<release>(encode(a_release()));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, a_release());
  EXPECT_EQ(encode(lib::version{1, 2}), encode(std::pair{1, 2}));
  EXPECT_EQ(encode(std::filesystem::path{"/a"}), encode(std::string{"/a"}));
}

TEST(AdaptedTypes, ComeBackFromJson) {
  const auto json = to_json(a_release());
  EXPECT_EQ(boost::json::serialize(json),
            R"({"number":[1,2],"before":[1,1],"fixes":[[[1,0],[[0,9],[0,8]]]],"file":"/srv/a b.tar",)"
            R"("made":1500000000,"sizes":[[1,2,3],[4,5,6]],"names":["a","b"]})");
  const auto back = from_json<release>(json);
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, a_release());
}

TEST(AdaptedTypes, SayInSignaturesWhatTheyMean) {
  EXPECT_EQ(signature_of<lib::version>(), "(i32, i32) (version)");
  EXPECT_EQ(signature_of<std::filesystem::path>(), "string");
  EXPECT_EQ(signature_of<system_time>(), "i64 * 1/1000000000 s (since the epoch of the system clock)");
  EXPECT_NE(signature_of<system_time>(), signature_of<std::chrono::steady_clock::time_point>());
}

TEST(AdaptedTypes, AnExceptionOfAnAdapterIsBadPayload) {
  const auto back = decode<std::vector<lib::version>>(encode(std::vector{std::pair{-1, 0}}));
  ASSERT_FALSE(back);
  EXPECT_EQ(code_of(back.error()), errc::bad_payload);
  EXPECT_THAT(failure_of(back.error()).text, HasSubstr("versions begin at 0"));
}

TEST(AdaptedTypes, TravelInCafMessages) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::vector<char> data;
  caf::binary_serializer sink{system, data};
  EXPECT_EQ(sink(a_release()), caf::none);
  caf::binary_deserializer source{system, data};
  release back;
  EXPECT_EQ(source(back), caf::none);
  EXPECT_EQ(back, a_release());
  EXPECT_THAT(caf::deep_to_string(a_release()), HasSubstr("\"/srv/a b.tar\""));
}

TEST(OwningPointers, ComeBackWithWhatTheyOwn) {
  chain x{1, std::make_unique<chain>(chain{2, nullptr})};
  const auto back = decode<chain>(encode(x));
  ASSERT_TRUE(back);
  ASSERT_TRUE(back->next);
  EXPECT_EQ(back->next->value, 2);
  EXPECT_FALSE(back->next->next);
  const auto json = to_json(x);
  EXPECT_EQ(boost::json::serialize(json), R"({"value":1,"next":{"value":2,"next":null}})");
  EXPECT_EQ(from_json<chain>(json)->next->value, 2);
  EXPECT_EQ(signature_of<chain>(), "{value: i32, next: optional<^1>}");
}

TEST(OwningPointers, SharedOnesAreSentOnceForEach) {
  using both = std::pair<std::shared_ptr<const std::string>, std::shared_ptr<const std::string>>;
  const auto text = std::make_shared<const std::string>("text");
  const auto back = decode<both>(encode(both{text, text}));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back->first, "text");
  EXPECT_NE(back->first, back->second);
}

TEST(OwningPointers, AreLimitedInDepth) {
  bytes deep;
  for (int i = 0; i < 1000; ++i) {
    const auto one = encode(std::pair{i, true});
    deep.insert(deep.end(), one.begin(), one.end());
  }
  EXPECT_THAT(failure_of(decode<chain>(deep).error()).text, HasSubstr("nested more than"));
}

} // namespace

} // namespace cluster_channel
