#include <cluster_channel/actors/route_table.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <set>

namespace cluster_channel {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using assignments = std::vector<route_table::assignment>;

route_table make_table(std::size_t nodes_max, std::size_t calls_per_node = 1, std::size_t nodes_min = 0) {
  return route_table{{.nodes_max = nodes_max,
                      .nodes_min = nodes_min,
                      .calls_per_node = calls_per_node,
                      .buffer_calls_max = 1000,
                      .buffer_bytes_max = 1000}};
}

/// A table of `nodes` ready, idle nodes 1, 2, …, where the last one was used last.
route_table with_nodes(std::size_t nodes, std::size_t calls_per_node = 1, std::size_t nodes_max = 0) {
  auto table = make_table(std::max(nodes, nodes_max), calls_per_node);
  for (std::size_t i = 0; i < nodes; ++i)
    EXPECT_TRUE(table.submit(1000 + i, 0));
  EXPECT_EQ(table.dispatch().launch, nodes);
  for (node_id node = 1; node <= nodes; ++node) {
    table.node_ready(node);
    for (const auto& done : table.dispatch().assign)
      EXPECT_TRUE(table.complete(done.node, done.call));
  }
  return table;
}

TEST(RouteTable, LaunchesNothingBeforeTheFirstCall) {
  auto table = make_table(4);
  EXPECT_EQ(table.dispatch().launch, 0U);
}

TEST(RouteTable, LaunchesANodeForTheFirstCallAndAssignsItWhenReady) {
  auto table = make_table(4);
  EXPECT_TRUE(table.submit(1, 10));
  auto plan = table.dispatch();
  EXPECT_EQ(plan.launch, 1U);
  EXPECT_THAT(plan.assign, IsEmpty());
  table.node_ready(7);
  plan = table.dispatch();
  EXPECT_EQ(plan.launch, 0U);
  EXPECT_EQ(plan.assign, (assignments{{1, 7}}));
}

TEST(RouteTable, DispatchingAgainWithoutAChangePlansNothing) {
  auto table = make_table(4);
  EXPECT_TRUE(table.submit(1, 10));
  EXPECT_EQ(table.dispatch().launch, 1U);
  const auto plan = table.dispatch();
  EXPECT_EQ(plan.launch, 0U);
  EXPECT_THAT(plan.assign, IsEmpty());
}

TEST(RouteTable, LaunchesOneNodeForEachWaitingCallUpToTheMaximum) {
  auto table = make_table(3);
  for (call_id call = 1; call <= 5; ++call)
    EXPECT_TRUE(table.submit(call, 1));
  EXPECT_EQ(table.dispatch().launch, 3U);
  EXPECT_EQ(table.launching_nodes(), 3U);
  EXPECT_EQ(table.waiting(), 5U);
}

TEST(RouteTable, SequentialCallsReuseOneNode) {
  auto table = with_nodes(1, 1, 4);
  for (call_id call = 1; call <= 100; ++call) {
    EXPECT_TRUE(table.submit(call, 1));
    const auto plan = table.dispatch();
    EXPECT_EQ(plan.launch, 0U);
    EXPECT_EQ(plan.assign, (assignments{{call, 1}}));
    EXPECT_TRUE(table.complete(1, call));
  }
}

TEST(RouteTable, PrefersAnIdleNodeOverANewOne) {
  auto table = with_nodes(2, 1, 4);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  const auto plan = table.dispatch();
  EXPECT_EQ(plan.launch, 0U);
  EXPECT_EQ(plan.assign.size(), 2U);
}

TEST(RouteTable, PrefersTheIdleNodeUsedLast) {
  auto table = with_nodes(3);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{1, 3}}));
  EXPECT_TRUE(table.complete(3, 1));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{2, 3}}));
}

TEST(RouteTable, LaunchesANewNodeWhenAllAreBusy) {
  auto table = with_nodes(1, 1, 2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_EQ(table.dispatch().launch, 0U);
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
}

TEST(RouteTable, BuffersWhenAllNodesAreBusyAndServesFirstInFirstOut) {
  auto table = with_nodes(1);
  for (call_id call = 1; call <= 4; ++call) {
    EXPECT_TRUE(table.submit(call, 1));
    const auto plan = table.dispatch();
    EXPECT_EQ(plan.launch, 0U);
    EXPECT_EQ(plan.assign.size(), call == 1 ? 1U : 0U);
  }
  for (call_id call = 1; call <= 3; ++call) {
    EXPECT_TRUE(table.complete(1, call));
    EXPECT_EQ(table.dispatch().assign, (assignments{{call + 1, 1}}));
  }
}

TEST(RouteTable, AFreedNodeTakesTheCallForWhichAnotherIsStillStarting) {
  auto table = with_nodes(1, 1, 2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_EQ(table.dispatch().assign.size(), 1U);
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
  EXPECT_TRUE(table.complete(1, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{2, 1}}));
}

TEST(RouteTable, ANodeIsFreeOnlyWhenItsOwnCallIsAnswered) {
  auto table = with_nodes(2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  const auto plan = table.dispatch();
  ASSERT_EQ(plan.assign.size(), 2U);
  EXPECT_FALSE(table.complete(plan.assign[0].node, plan.assign[1].call)); // another node's call
  EXPECT_FALSE(table.complete(plan.assign[0].node, 77));                  // nobody's call
  EXPECT_FALSE(table.complete(99, plan.assign[0].call));                  // unknown node
  EXPECT_EQ(table.idle_nodes(), 0U);
  EXPECT_EQ(table.running(), 2U);
  EXPECT_TRUE(table.complete(plan.assign[0].node, plan.assign[0].call));
  EXPECT_FALSE(table.complete(plan.assign[0].node, plan.assign[0].call)); // twice
  EXPECT_EQ(table.idle_nodes(), 1U);
}

TEST(RouteTable, ReturnsTheCallsOfARemovedNodeOldestFirstAndOnlyThose) {
  auto table = with_nodes(2, 3);
  for (call_id call = 1; call <= 6; ++call)
    EXPECT_TRUE(table.submit(call, 1));
  std::vector<call_id> on_one;
  for (const auto& x : table.dispatch().assign)
    if (x.node == 1)
      on_one.push_back(x.call);
  ASSERT_EQ(on_one.size(), 3U);
  EXPECT_EQ(table.remove_node(1), on_one);
  EXPECT_EQ(table.running(), 3U);
  EXPECT_EQ(table.ready_nodes(), 1U);
}

TEST(RouteTable, RemovingAnUnknownNodeReturnsNothing) {
  auto table = with_nodes(1);
  EXPECT_THAT(table.remove_node(5), IsEmpty());
  EXPECT_EQ(table.ready_nodes(), 1U);
}

TEST(RouteTable, DispatchesBufferedCallToReplacementAfterNodeDies) {
  auto table = with_nodes(1);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{1, 1}}));
  EXPECT_THAT(table.remove_node(1), ElementsAre(1U));
  EXPECT_EQ(table.dispatch().launch, 1U);
  table.node_ready(2);
  EXPECT_EQ(table.dispatch().assign, (assignments{{2, 2}}));
}

TEST(RouteTable, ADeadIdleNodeIsNotReplacedBeforeACallNeedsIt) {
  auto table = with_nodes(2);
  EXPECT_THAT(table.remove_node(1), IsEmpty());
  EXPECT_EQ(table.dispatch().launch, 0U);
}

TEST(RouteTable, LaunchesTheMinimumWithoutCallsAndKeepsItUp) {
  auto table = make_table(4, 1, 2);
  EXPECT_EQ(table.dispatch().launch, 2U);
  table.node_ready(1);
  table.node_ready(2);
  EXPECT_EQ(table.dispatch().launch, 0U);
  EXPECT_THAT(table.remove_node(1), IsEmpty());
  EXPECT_EQ(table.dispatch().launch, 1U);
}

TEST(RouteTable, StopRefillingEndsTheMinimum) {
  auto table = make_table(4, 1, 2);
  table.stop_refilling();
  EXPECT_EQ(table.dispatch().launch, 0U);
}

TEST(RouteTable, PipelinesUpToCallsPerNodeOnceAllNodesAreUp) {
  auto table = with_nodes(1, 3);
  for (call_id call = 1; call <= 4; ++call)
    EXPECT_TRUE(table.submit(call, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{1, 1}, {2, 1}, {3, 1}}));
  EXPECT_EQ(table.waiting(), 1U);
  EXPECT_TRUE(table.complete(1, 2)); // answers may come in any order
  EXPECT_EQ(table.dispatch().assign, (assignments{{4, 1}}));
}

TEST(RouteTable, LaunchesANewNodeRatherThanPipelining) {
  auto table = with_nodes(1, 3, 2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{1, 1}}));
  EXPECT_TRUE(table.submit(2, 1));
  const auto plan = table.dispatch();
  EXPECT_EQ(plan.launch, 1U);
  EXPECT_THAT(plan.assign, IsEmpty());
}

TEST(RouteTable, PipelinesToTheLeastLoadedNode) {
  auto table = with_nodes(2, 2);
  for (call_id call = 1; call <= 3; ++call)
    EXPECT_TRUE(table.submit(call, 1));
  std::map<node_id, int> load;
  for (const auto& x : table.dispatch().assign)
    ++load[x.node];
  EXPECT_EQ(std::max(load[1], load[2]), 2);
  const auto lighter = load[1] < load[2] ? 1U : 2U;
  EXPECT_TRUE(table.submit(4, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{4, lighter}}));
}

TEST(RouteTable, RefusesACallWhenTheBufferHasItsMaximumOfCalls) {
  route_table table{{.nodes_max = 1, .calls_per_node = 1, .buffer_calls_max = 2, .buffer_bytes_max = 1000}};
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_FALSE(table.submit(3, 1));
  EXPECT_EQ(table.waiting(), 2U);
}

TEST(RouteTable, RefusesACallWhenTheBufferHasItsMaximumOfBytes) {
  route_table table{{.nodes_max = 1, .calls_per_node = 1, .buffer_calls_max = 100, .buffer_bytes_max = 100}};
  EXPECT_TRUE(table.submit(1, 60));
  EXPECT_FALSE(table.submit(2, 41));
  EXPECT_TRUE(table.submit(3, 40));
  EXPECT_EQ(table.waiting_bytes(), 100U);
  EXPECT_FALSE(table.submit(4, 1));
}

TEST(RouteTable, TakesACallLargerThanTheBufferIfItNeedNotWait) {
  route_table table{{.nodes_max = 1, .calls_per_node = 1, .buffer_calls_max = 1, .buffer_bytes_max = 100}};
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
  table.node_ready(1);
  EXPECT_EQ(table.dispatch().assign.size(), 1U);
  EXPECT_TRUE(table.complete(1, 1));
  EXPECT_TRUE(table.submit(2, 101));
  EXPECT_EQ(table.dispatch().assign, (assignments{{2, 1}}));
  EXPECT_FALSE(table.submit(3, 101));
}

TEST(RouteTable, AWithdrawnCallFreesItsPlaceAndIsNeverAssigned) {
  auto table = with_nodes(1);
  for (call_id call = 1; call <= 3; ++call)
    EXPECT_TRUE(table.submit(call, 10));
  EXPECT_EQ(table.dispatch().assign, (assignments{{1, 1}}));
  EXPECT_TRUE(table.withdraw(2));
  EXPECT_FALSE(table.withdraw(2));
  EXPECT_FALSE(table.withdraw(1)); // runs already
  EXPECT_EQ(table.waiting_bytes(), 10U);
  EXPECT_TRUE(table.complete(1, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{3, 1}}));
}

TEST(RouteTable, FailedLaunchReturnsTheWaitingCallsIfNoNodeIsLeft) {
  auto table = make_table(2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().launch, 2U);
  EXPECT_THAT(table.launches_failed(1), IsEmpty()); // another one may still come
  EXPECT_EQ(table.dispatch().launch, 0U);
  EXPECT_THAT(table.launches_failed(1), ElementsAre(1U, 2U));
  EXPECT_EQ(table.waiting(), 0U);
  EXPECT_EQ(table.waiting_bytes(), 0U);
}

TEST(RouteTable, FailedLaunchKeepsTheWaitingCallsForALiveNode) {
  auto table = with_nodes(1, 1, 2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
  EXPECT_THAT(table.launches_failed(1), IsEmpty());
  EXPECT_EQ(table.dispatch().launch, 0U) << "no launch before something has changed";
  EXPECT_TRUE(table.complete(1, 1));
  EXPECT_EQ(table.dispatch().assign, (assignments{{2, 1}}));
}

TEST(RouteTable, ANewCallAfterAFailedLaunchTriesAgain) {
  auto table = make_table(1);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
  EXPECT_THAT(table.launches_failed(1), ElementsAre(1U));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
}

TEST(RouteTable, LosingTheLastNodeAfterAFailedLaunchTriesAgain) {
  auto table = with_nodes(1, 1, 2);
  EXPECT_TRUE(table.submit(1, 1));
  EXPECT_TRUE(table.submit(2, 1));
  EXPECT_EQ(table.dispatch().launch, 1U);
  EXPECT_THAT(table.launches_failed(1), IsEmpty());
  EXPECT_THAT(table.remove_node(1), ElementsAre(1U));
  EXPECT_EQ(table.dispatch().launch, 1U);
}

TEST(RouteTable, WithdrawAllReturnsTheLineInOrder) {
  auto table = with_nodes(1);
  for (call_id call = 1; call <= 4; ++call)
    EXPECT_TRUE(table.submit(call, 1));
  EXPECT_EQ(table.dispatch().assign.size(), 1U);
  EXPECT_TRUE(table.withdraw(3));
  EXPECT_THAT(table.withdraw_all(), ElementsAre(2U, 4U));
  EXPECT_EQ(table.waiting(), 0U);
}

/// Drives a table with random events beside a plain model, and checks after every event what must always hold.
TEST(RouteTable, ReleasesHeldCallsToTheirPlacesInTheLine) {
  route_table table{{.nodes_max = 1, .calls_per_node = 10, .buffer_calls_max = 10, .buffer_bytes_max = 10}};
  ASSERT_TRUE(table.submit(1, 1));
  ASSERT_TRUE(table.submit_held(2, 1));
  ASSERT_TRUE(table.submit(3, 1));
  ASSERT_TRUE(table.submit_held(4, 1));
  static_cast<void>(table.dispatch());
  table.release(4);
  table.release(2);
  table.node_ready(7);
  std::vector<call_id> order;
  for (const auto& [call, node] : table.dispatch().assign)
    order.push_back(call);
  EXPECT_THAT(order, ElementsAre(1U, 2U, 3U, 4U));
}

TEST(RouteTable, KeepsItsInvariantsUnderRandomEvents) {
  const char* given = std::getenv("CLUSTER_CHANNEL_TEST_SEED");
  const auto seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("CLUSTER_CHANNEL_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random{seed};
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };

  for (int round = 0; round < 50; ++round) {
    const auto nodes_max = 1 + below(4);
    const auto calls_per_node = 1 + below(3);
    auto table = make_table(nodes_max, calls_per_node);
    std::deque<call_id> line;                     // waiting, in order
    std::map<node_id, std::set<call_id>> running; // on ready nodes
    std::set<call_id> ended;
    std::size_t launching = 0;
    call_id last_call = 0;
    node_id last_node = 0;
    for (int step = 0; step < 400; ++step) {
      switch (below(6)) {
      case 0:
      case 1:
        ASSERT_TRUE(table.submit(++last_call, 1));
        line.push_back(last_call);
        break;
      case 2:
        if (launching > 0) {
          --launching;
          table.node_ready(++last_node);
          running[last_node];
        }
        break;
      case 3:
        if (!running.empty()) {
          auto pos = std::next(running.begin(), static_cast<std::ptrdiff_t>(below(running.size())));
          if (!pos->second.empty()) {
            const auto call = *pos->second.begin();
            ASSERT_TRUE(table.complete(pos->first, call));
            pos->second.erase(call);
            ASSERT_TRUE(ended.insert(call).second);
          }
        }
        break;
      case 4:
        if (!running.empty() && below(3) == 0) {
          auto pos = std::next(running.begin(), static_cast<std::ptrdiff_t>(below(running.size())));
          const auto lost = table.remove_node(pos->first);
          ASSERT_EQ(std::set<call_id>(lost.begin(), lost.end()), pos->second);
          for (auto call : lost)
            ASSERT_TRUE(ended.insert(call).second);
          running.erase(pos);
        }
        break;
      default:
        if (!line.empty() && below(3) == 0) {
          auto pos = std::next(line.begin(), static_cast<std::ptrdiff_t>(below(line.size())));
          ASSERT_TRUE(table.withdraw(*pos));
          ASSERT_TRUE(ended.insert(*pos).second);
          line.erase(pos);
        }
      }
      const auto plan = table.dispatch();
      launching += plan.launch;
      for (const auto& [call, node] : plan.assign) {
        ASSERT_FALSE(line.empty());
        ASSERT_EQ(call, line.front()) << "first in, first out";
        line.pop_front();
        running.at(node).insert(call);
        ASSERT_LE(running.at(node).size(), calls_per_node);
      }
      ASSERT_LE(running.size() + launching, nodes_max);
      const auto idle = std::any_of(running.begin(), running.end(), [](const auto& x) { return x.second.empty(); });
      ASSERT_FALSE(idle && !line.empty()) << "a call waits while a node is idle";
      ASSERT_FALSE(line.size() > launching && running.size() + launching < nodes_max)
          << "a call waits while a node may be launched for it";
      ASSERT_EQ(table.waiting(), line.size());
      ASSERT_EQ(table.waiting_bytes(), line.size());
      ASSERT_EQ(table.launching_nodes(), launching);
    }
    const auto left = table.withdraw_all();
    ASSERT_TRUE(std::equal(left.begin(), left.end(), line.begin(), line.end()));
  }
}

} // namespace

} // namespace cluster_channel
