// How to test code that calls slots and code that answers them, with no process and no waiting.

#include <cluster_channel/tests/test_kit.hpp>

#include <gtest/gtest.h>

#include "../hello/handlers.hpp"
#include <chrono>

namespace hello {
namespace {

using namespace std::chrono_literals;

// The seed's example: the child's handlers on a local bus.
TEST(ChildNode, ProcessesFoo) {
  cluster_channel::event_bus<events> child_node;
  with_master(child_node);
  EXPECT_EQ(child_node.foo({21}).get(0s)->baz, 42);
}

// The same handlers behind a pool of scripted nodes.
TEST(Pool, AnswersThroughItsNodes) {
  cluster_channel::test::pool<events> pool{{.nodes = 2}};
  with_master(pool.child());
  auto one = pool.bus().foo({1});
  auto two = pool.bus().foo({2});
  pool.run();
  EXPECT_EQ(one.get(0s)->baz, 2);
  EXPECT_EQ(two.get(0s)->baz, 4);
  EXPECT_EQ(pool.launches(), 2U);
}

// What the master sees when a child crashes: node 1 is killed by its first call, node 2 takes the next.
TEST(Pool, SurvivesACrash) {
  cluster_channel::test::pool<events> pool;
  pool.script(1, {.dies_of_call = 1, .dies_with = {true, SIGSEGV}});
  with_master(pool.child());
  auto lost = pool.bus().foo({1});
  auto kept = pool.bus().foo({2});
  pool.run();
  const auto result = lost.get(0s);
  ASSERT_FALSE(result);
  EXPECT_EQ(cluster_channel::failure_of(result.error()).signal, SIGSEGV);
  EXPECT_EQ(kept.get(0s)->baz, 4);
}

// Time passes only when the test says so: a child that takes an hour costs the test nothing.
TEST(Pool, TimesOutASlowChild) {
  cluster_channel::test::pool<events> pool;
  pool.script_all({.answers_after = 1h});
  with_master(pool.child());
  auto call = pool.bus().foo({1});
  pool.advance(5s);
  const auto result = call.get(0s);
  ASSERT_FALSE(result);
  EXPECT_EQ(cluster_channel::code_of(result.error()), cluster_channel::errc::timed_out);
}

// An actor that calls slots, driven step by step by CAF's test coordinator.
TEST(Pool, ServesAnActorUnderTest) {
  cluster_channel::test::pool<events> pool;
  with_master(pool.child());
  int doubled = 0;
  pool.system().spawn([&](caf::event_based_actor* self) {
    pool.bus().foo({21}).then(
        self, [&](const foo_response& x) { doubled = x.baz; }, [](caf::error&) { FAIL(); });
  });
  EXPECT_TRUE(pool.coordinator().has_job());
  pool.run();
  EXPECT_EQ(doubled, 42);
}

} // namespace
} // namespace hello
