// Described structs in CAF messages, beside slots: through CAF's serializer, and between two actor systems.
#include <cluster_channel/channels/slot.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/deep_to_string.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/io/all.hpp>
#include <caf/scoped_actor.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace {

using ::testing::HasSubstr;

struct point {
  std::int32_t x = 0;
  std::int32_t y = 0;
  friend bool operator==(const point&, const point&) = default;
};
BOOST_DESCRIBE_STRUCT(point, (), (x, y))

// Described, and with an inspect of its own, which does not send `y`.
struct inspected_point {
  std::int32_t x = 0;
  std::int32_t y = 0;
  friend bool operator==(const inspected_point&, const inspected_point&) = default;
};
BOOST_DESCRIBE_STRUCT(inspected_point, (), (x, y))

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, inspected_point& p) {
  return f(caf::meta::type_name("own"), p.x);
}

// The same, for CAF's two processors only.
struct old_fashioned {
  std::int32_t x = 0;
  friend bool operator==(const old_fashioned&, const old_fashioned&) = default;
};
BOOST_DESCRIBE_STRUCT(old_fashioned, (), (x))

caf::error inspect(caf::serializer& f, old_fashioned& p) {
  auto twice = 2 * p.x;
  return f(twice);
}
caf::error inspect(caf::deserializer& f, old_fashioned& p) {
  auto err = f(p.x);
  p.x += 1;
  return err;
}

// An inspect for every described struct of a namespace, as one could write before there was ours.
namespace generic {
struct point {
  std::int32_t x = 0;
};
BOOST_DESCRIBE_STRUCT(point, (), (x))
template <class Inspector, class T>
requires boost::describe::has_describe_members<T>::value typename Inspector::result_type inspect(Inspector& f, T& p) {
  return f(caf::meta::type_name("generic"), p.x);
}
} // namespace generic

// With an inspect, of described members.
struct line {
  point from;
  inspected_point to;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, line& l) {
  return f(caf::meta::type_name("line"), l.from, l.to);
}

// Everything that a member can be.
struct map_of_points : point {
  std::optional<point> home;
  std::optional<point> away;
  std::variant<int, std::string, point> what;
  std::vector<std::optional<point>> way;
  std::map<std::string, std::variant<point, inspected_point>> named;
  std::vector<map_of_points> parts;
  std::chrono::milliseconds age{};
  std::int32_t numbers[3] = {};
  friend bool operator==(const map_of_points&, const map_of_points&) = default;
};
BOOST_DESCRIBE_STRUCT(map_of_points, (point), (home, away, what, way, named, parts, age, numbers))

map_of_points full_map() {
  map_of_points x;
  x.x = 7;
  x.home = point{1, 2};
  x.what = point{3, 4};
  x.way = {std::nullopt, point{5, 6}};
  x.named = {{"a", point{1, 1}}, {"b", inspected_point{2, 0}}};
  x.parts.resize(2);
  x.parts[1].what = "text";
  x.age = std::chrono::milliseconds{12};
  x.numbers[2] = 9;
  return x;
}

template <class T>
T through_serializer(const T& x) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::vector<char> bytes;
  caf::binary_serializer sink{system, bytes};
  EXPECT_EQ(sink(x), caf::none);
  caf::binary_deserializer source{system, bytes};
  T result{};
  EXPECT_EQ(source(result), caf::none);
  EXPECT_EQ(source.remaining(), 0u);
  return result;
}

TEST(CafMessage, DescribedStructsComeBackFromTheSerializer) {
  EXPECT_EQ(through_serializer(point{7, 8}), (point{7, 8}));
  EXPECT_EQ(through_serializer(full_map()), full_map());
}

TEST(CafMessage, AnInspectOfTheTypesOwnIsTaken) {
  EXPECT_EQ(through_serializer(inspected_point{7, 8}), (inspected_point{7, 0}));
  EXPECT_EQ(through_serializer(old_fashioned{7}), old_fashioned{15});
  EXPECT_EQ(through_serializer(generic::point{7}).x, 7);
  EXPECT_EQ(caf::deep_to_string(inspected_point{7, 8}), "own(7)");
  EXPECT_EQ(caf::deep_to_string(generic::point{7}), "generic(7)");
}

TEST(CafMessage, DescribedMembersOfInspectedTypesAreNotSkipped) {
  const auto back = through_serializer(line{{1, 2}, {3, 4}});
  EXPECT_EQ(back.from, (point{1, 2}));
  EXPECT_EQ(back.to, (inspected_point{3, 0}));
}

TEST(CafMessage, PrintsTypeAndMembers) {
  EXPECT_THAT(caf::deep_to_string(point{7, 8}), HasSubstr("point(7, 8)"));
  EXPECT_EQ(caf::deep_to_string(std::optional<point>{}), "none");
  EXPECT_THAT(caf::deep_to_string(full_map()), HasSubstr("point(5, 6)"));
  EXPECT_THAT(caf::to_string(caf::make_message(point{7, 8}, 1)), HasSubstr("point(7, 8), 1"));
}

TEST(CafMessage, AFalseAlternativeIsAnError) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  std::vector<char> bytes;
  caf::binary_serializer sink{system, bytes};
  std::uint32_t index = 2;
  EXPECT_EQ(sink(index), caf::none);
  caf::binary_deserializer source{system, bytes};
  std::variant<int, point> x;
  EXPECT_EQ(source(x), caf::sec::invalid_argument);
}

static_assert(!caf::allowed_unsafe_message_type<point>::value, "CAF skips what it is told to allow unsafely");
static_assert(!caf::detail::is_serializable<std::optional<int*>>::value);

struct networked : caf::actor_system_config {
  networked() {
    load<caf::io::middleman>();
    add_message_type<point>("point");
    add_message_type<inspected_point>("inspected_point");
    add_message_type<map_of_points>("map_of_points");
    add_message_type<std::optional<point>>("optional_point");
  }
};

TEST(CafMessage, TravelsBetweenTwoActorSystems) {
#ifdef CLUSTER_CHANNEL_UNDER_TSAN
  GTEST_SKIP() << "CAF's network layer is not instrumented: ThreadSanitizer takes all of it for races";
#endif
  networked here_config;
  networked there_config;
  caf::actor_system here{here_config};
  caf::actor_system there{there_config};
  const auto echo = there.spawn([]() -> caf::behavior {
    return {[](const point& x) { return x; }, [](const inspected_point& x) { return x.x; },
            [](const map_of_points& x) { return x; }, [](const std::optional<point>& x) { return x; }};
  });
  const auto port = there.middleman().publish(echo, 0, "127.0.0.1");
  ASSERT_TRUE(port);
  const auto remote = here.middleman().remote_actor("127.0.0.1", *port);
  ASSERT_TRUE(remote);
  caf::scoped_actor self{here};
  const auto ask = [&](auto question, auto expected) {
    self->request(*remote, std::chrono::seconds{30}, question)
        .receive([&](const decltype(expected)& answer) { EXPECT_EQ(answer, expected); },
                 [&](const caf::error& err) { ADD_FAILURE() << here.render(err); });
  };
  ask(point{7, 8}, point{7, 8});
  ask(inspected_point{7, 8}, 7);
  ask(full_map(), full_map());
  ask(std::optional<point>{point{1, 2}}, std::optional<point>{point{1, 2}});
  there.middleman().unpublish(echo, *port);
  self->send_exit(echo, caf::exit_reason::user_shutdown);
}

} // namespace
