#include <cluster_channel/actors/registration_table.hpp>

#include <gmock/gmock.h>

namespace cluster_channel {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(RegistrationTable, HoldsFromTheFirstAnnouncementToTheLastWithdrawal) {
  registration_table table;
  EXPECT_TRUE(table.add(1, "foo", "a"));
  EXPECT_FALSE(table.add(2, "foo", "a"));
  EXPECT_FALSE(table.remove(1, "foo", "a"));
  EXPECT_FALSE(table.remove(1, "foo", "a")) << "it has none any more";
  EXPECT_TRUE(table.contains("foo", "a"));
  EXPECT_TRUE(table.remove(2, "foo", "a"));
  EXPECT_FALSE(table.contains("foo", "a"));
}

TEST(RegistrationTable, ExpectsWhatGoneNodesAnnouncedOfTheirReplacements) {
  registration_table table;
  table.add(1, "foo", "a");
  EXPECT_THAT(table.node_gone(1), IsEmpty());
  EXPECT_TRUE(table.contains("foo", "a"));
  EXPECT_FALSE(table.remove(2, "foo", "a"));
  EXPECT_FALSE(table.add(2, "foo", "a"));
  EXPECT_TRUE(table.remove(2, "foo", "a"));
  EXPECT_FALSE(table.contains("foo", "a"));
}

TEST(RegistrationTable, DropsWhatWasExpectedLongestBeyondItsBound) {
  registration_table table{2};
  for (node_id node = 1; node <= 2; ++node) {
    table.add(node, "foo", std::to_string(node));
    EXPECT_THAT(table.node_gone(node), IsEmpty());
  }
  table.add(3, "foo", "1"); // is expected no more
  table.add(4, "bar", "4");
  EXPECT_THAT(table.node_gone(4), IsEmpty());
  EXPECT_THAT(table.node_gone(3), ElementsAre(handler_key{"foo", "2"}));
  EXPECT_FALSE(table.contains("foo", "2"));
  EXPECT_TRUE(table.contains("foo", "1"));
  EXPECT_TRUE(table.contains("bar", "4"));
  EXPECT_TRUE(table.add(5, "foo", "2"));
}

TEST(RegistrationTable, LiveNodesCountAgainstNoBoundButTheirOwn) {
  registration_table table{1};
  EXPECT_TRUE(table.add(1, "foo", "a"));
  EXPECT_TRUE(table.add(2, "foo", "b"));
  EXPECT_FALSE(table.add(2, "foo", "c")) << "it has one already";
  EXPECT_FALSE(table.contains("foo", "c"));
}

TEST(RegistrationTable, WithdrawingWhatWasNotAnnouncedMakesNoRoom) {
  registration_table table{1};
  table.add(1, "foo", "a");
  EXPECT_FALSE(table.remove(1, "foo", "never"));
  EXPECT_FALSE(table.add(1, "foo", "b"));
  EXPECT_TRUE(table.remove(1, "foo", "a"));
  EXPECT_TRUE(table.add(1, "foo", "b"));
}

TEST(RegistrationTable, ExpectsNoMoreBytesOfNamesThanItMay) {
  registration_table table{{.bytes = 100}};
  for (node_id node = 1; node <= 3; ++node)
    table.add(node, "foo", std::string(40, static_cast<char>('a' + node)));
  EXPECT_THAT(table.node_gone(1), IsEmpty());
  EXPECT_THAT(table.node_gone(2), IsEmpty());
  EXPECT_THAT(table.node_gone(3), ElementsAre(handler_key{"foo", std::string(40, 'b')}));
  EXPECT_EQ(table.bytes(), 86U);
}

TEST(RegistrationTable, HoldsANameOnceHoweverManyNodesHaveIt) {
  registration_table table{{.pool_bytes = 10}};
  for (node_id node = 1; node <= 100; ++node)
    EXPECT_EQ(table.add(node, "foo", "1234567"), node == 1);
  EXPECT_EQ(table.bytes(), 10U);
  EXPECT_FALSE(table.add(1, "foo", "x")) << "all nodes together have as much as they may";
  EXPECT_FALSE(table.contains("foo", "x"));
}

} // namespace
} // namespace cluster_channel
