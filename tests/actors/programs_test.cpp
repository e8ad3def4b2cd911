// Pools of several programs, over scripted nodes in virtual time.

#include <cluster_channel/tests/test_kit.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../channels/test_events.hpp"
#include <chrono>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Programs : public ::testing::Test {
public:
  /// A pool of as many nodes of each program, whose children take a second for a call.
  void make(std::size_t first, std::vector<std::size_t> more) {
    pool_options options{.executable = "first", .nodes = first};
    for (auto nodes : more)
      options.more_programs.push_back({.executable = "other", .nodes = nodes});
    pool = std::make_unique<test::pool<test_events>>(std::move(options));
    pool->script_all({.answers_after = 1s});
    pool->child().echo.on([](const std::string& text) { return text; });
  }

  void call(int times) {
    for (int i = 0; i < times; ++i)
      calls.push_back(pool->bus().echo("x"));
    pool->run();
  }

  std::vector<std::size_t> launched() const {
    std::vector<std::size_t> result;
    for (node_id node = 1; node <= pool->launches(); ++node)
      result.push_back(pool->program_of(node));
    return result;
  }

  std::unique_ptr<test::pool<test_events>> pool;
  std::vector<cluster_channel::call<std::string>> calls;
};

TEST_F(Programs, NewNodesAreOfTheProgramOfWhichTheSmallestShareRuns) {
  make(2, {2});
  call(9);
  EXPECT_THAT(launched(), ElementsAre(0, 1, 0, 1));
}

TEST_F(Programs, NodesAreSharedOutAsTheProgramsMayHaveThem) {
  make(1, {3, 1});
  call(9);
  EXPECT_THAT(launched(), ElementsAre(0, 1, 2, 1, 1));
}

TEST_F(Programs, ANodeThatDiedIsReplacedByOneOfItsProgram) {
  make(1, {1});
  call(4);
  pool->end_node(2, {true, SIGKILL});
  pool->run();
  EXPECT_THAT(launched(), ElementsAre(0, 1, 1));
}

TEST_F(Programs, AProgramThatCannotStartLeavesTheCallsToTheOthers) {
  make(2, {2});
  pool->script(2, {.launch_error = make_error(errc::launch_failed, "no such program")});
  call(4);
  pool->advance(30s);
  for (auto& each : calls)
    EXPECT_TRUE(each.get(0ms)) << "on one of the first program's nodes";
  EXPECT_EQ(pool->program_of(1), 0U);
  EXPECT_EQ(pool->program_of(2), 1U);
}

TEST(ProgramOptions, EachProgramIsChecked) {
  pool_options options{.executable = "child"};
  options.more_programs = {{.executable = "", .nodes = 1}};
  EXPECT_THAT(describe(validate(options)), HasSubstr("executable is empty"));
  options.more_programs = {{.executable = "other", .nodes = 0}};
  EXPECT_THAT(describe(validate(options)), HasSubstr("nodes of other in more_programs is 0"));
  options.more_programs = {{.executable = "other", .nodes = 3}};
  options.nodes = 1;
  options.min_nodes = 4;
  EXPECT_FALSE(validate(options));
  options.min_nodes = 5;
  EXPECT_THAT(describe(validate(options)), HasSubstr("min_nodes is 5 but nodes is 4"));
}

} // namespace

} // namespace cluster_channel
