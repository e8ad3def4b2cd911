// Declarations with more slots than Boost.Describe takes at a time, and slots whose names no member can have.
#include <cluster_channel/channels/event_bus.hpp>

#include <gtest/gtest.h>

namespace {

using namespace cluster_channel;

#define ELEVEN_SLOTS(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9, x##10

struct first_events {
  slot<int> ELEVEN_SLOTS(a), ELEVEN_SLOTS(b), ELEVEN_SLOTS(c);
};
BOOST_DESCRIBE_STRUCT(first_events, (), (ELEVEN_SLOTS(a), ELEVEN_SLOTS(b), ELEVEN_SLOTS(c)))

struct second_events {
  slot<int> ELEVEN_SLOTS(d), ELEVEN_SLOTS(e), ELEVEN_SLOTS(f);
};
BOOST_DESCRIBE_STRUCT(second_events, (), (ELEVEN_SLOTS(d), ELEVEN_SLOTS(e), ELEVEN_SLOTS(f)))

struct all_events {
  slot<int> ELEVEN_SLOTS(a), ELEVEN_SLOTS(b), ELEVEN_SLOTS(c), ELEVEN_SLOTS(d), ELEVEN_SLOTS(e), ELEVEN_SLOTS(f);
};
CLUSTER_CHANNEL_DESCRIBE_STRUCT(all_events, (),
                                (ELEVEN_SLOTS(a), ELEVEN_SLOTS(b), ELEVEN_SLOTS(c), ELEVEN_SLOTS(d), ELEVEN_SLOTS(e),
                                 ELEVEN_SLOTS(f)))
CLUSTER_CHANNEL_RENAME_MEMBERS(all_events, (a0, "issues.opened"), (f10, "default"))

template <class Bus>
void expect_calls(Bus& bus) {
  int sum = 0;
  const auto add = [&](int x) { sum += x; };
  bus.a0.on(add);
  bus.f10.on(add);
  EXPECT_TRUE(bus.a0(1).get(std::chrono::seconds{1}));
  EXPECT_TRUE(bus.f10(2).get(std::chrono::seconds{1}));
  EXPECT_EQ(sum, 3);
}

TEST(ManySlots, CombinedDeclarationsHoldAsManyAsOneLikes) {
  event_bus<combined_events<first_events, second_events>> bus;
  expect_calls(bus);
  EXPECT_EQ(bus.a0.name(), "a0");
  EXPECT_EQ(bus.f10.name(), "f10");
}

TEST(ManySlots, OneDeclarationHoldsMoreThan52AndRenamesThem) {
  event_bus<all_events> bus;
  expect_calls(bus);
  EXPECT_EQ(bus.a0.name(), "issues.opened");
  EXPECT_EQ(bus.a1.name(), "a1");
  EXPECT_EQ(bus.f10.name(), "default");
}

} // namespace
