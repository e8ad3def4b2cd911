// The cluster channel, in virtual time: 2. to which node a request goes, 3. what a node's death does to its requests,
// and the calls of children to their master.

#include "parity.hpp"
#include <csignal>
#include <map>
#include <stdexcept>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A pool whose nodes keep calls of `twice` open, by the number they carry.
class holding_pool : public test::pool<events> {
public:
  explicit holding_pool(pool_options options) : test::pool<events>{unlimited(std::move(options))} {
    child().twice.on([this](int x, promise<int> done) {
      order.push_back(x);
      open.insert_or_assign(x, std::move(done));
    });
  }

  void answer(int x) {
    open.at(x).deliver(2 * x);
    run();
  }

  std::map<int, promise<int>> open;
  std::vector<int> order; // in which the nodes were given calls

private:
  static pool_options unlimited(pool_options options) {
    options.timeout = no_timeout;
    return options;
  }
};

TEST(ParityCluster2Dispatch, ARequestGoesToAnIdleNode) {
  holding_pool x{{.nodes = 3}};
  for (int i = 1; i <= 3; ++i) {
    auto call = x.bus().twice(i);
    x.run();
    x.answer(i);
    EXPECT_EQ(outcome(call), in_words(2 * i));
  }
  EXPECT_EQ(x.launches(), 1U);
}

TEST(ParityCluster2Dispatch, NoneIdleAndFewerThanAllowedIsANewNode) {
  holding_pool x{{.nodes = 3}};
  for (int i = 1; i <= 3; ++i) {
    static_cast<void>(x.bus().twice(i));
    x.run();
    EXPECT_EQ(x.launches(), static_cast<std::size_t>(i));
  }
}

TEST(ParityCluster2Dispatch, AllBusyBuffersFirstInFirstOut) {
  holding_pool x{{.nodes = 2}};
  for (int i = 1; i <= 5; ++i)
    static_cast<void>(x.bus().twice(i));
  x.run();
  EXPECT_EQ(x.launches(), 2U);
  EXPECT_THAT(x.order, ElementsAre(1, 2));
  x.answer(2);
  EXPECT_THAT(x.order, ElementsAre(1, 2, 3));
  x.answer(1);
  x.answer(3);
  EXPECT_THAT(x.order, ElementsAre(1, 2, 3, 4, 5));
}

TEST(ParityCluster2Dispatch, ARegistrationFromABusyNodeDoesNotMakeItFree) {
  holding_pool x{{.nodes = 1}};
  static_cast<void>(x.bus().twice(1));
  static_cast<void>(x.bus().twice(2));
  x.run();
  const auto gone = x.child().note.on([](const std::string&) {});
  x.run();
  gone();
  x.run();
  EXPECT_THAT(x.order, ElementsAre(1));
}

TEST(ParityCluster2Dispatch, ACallFromABusyNodeDoesNotMakeItFree) {
  holding_pool x{{.nodes = 1}};
  std::vector<std::string> seen;
  x.bus().note.on([&](const std::string& text) { seen.push_back(text); });
  static_cast<void>(x.bus().twice(1));
  static_cast<void>(x.bus().twice(2));
  x.run();
  auto event = x.child().note("halfway");
  x.run();
  EXPECT_THAT(seen, ElementsAre("halfway"));
  EXPECT_EQ(outcome(event), "done");
  EXPECT_THAT(x.order, ElementsAre(1));
}

TEST(ParityCluster2Dispatch, ABufferedRequestGoesToTheReplacementOfANodeThatDied) {
  holding_pool x{{.nodes = 1}};
  auto lost = x.bus().twice(1);
  auto waits = x.bus().twice(2);
  x.run();
  x.end_node(1, {true, SIGKILL});
  x.advance(1s);
  EXPECT_THAT(outcome(lost), HasSubstr("Node closed"));
  EXPECT_THAT(x.order, ElementsAre(1, 2));
  x.answer(2);
  EXPECT_EQ(outcome(waits), "4");
  EXPECT_EQ(x.launches(), 2U);
}

TEST(ParityCluster2Dispatch, TheBufferIsBounded) {
  holding_pool x{{.nodes = 1, .buffer_calls_max = 2}};
  for (int i = 1; i <= 3; ++i) {
    static_cast<void>(x.bus().twice(i));
    x.run();
  }
  auto call = x.bus().twice(4);
  x.run();
  EXPECT_THAT(outcome(call), HasSubstr("buffer_full: the buffer is full: too many calls"));
}

TEST(ParityCluster2Dispatch, ABroadcastReachesEveryLiveNodeBusyOnesToo) {
  holding_pool x{{.nodes = 3, .min_nodes = 3}};
  int notes = 0;
  x.child().note.on([&](const std::string&) { ++notes; });
  x.run();
  static_cast<void>(x.bus().twice(1)); // keeps one busy
  x.run();
  auto call = x.bus().note.broadcast("x");
  x.run();
  EXPECT_EQ(notes, 3);
  EXPECT_EQ(outcome(call), "[done, done, done]");
}

TEST(ParityCluster2Dispatch, ABroadcastLaunchesNothing) {
  holding_pool x{{.nodes = 3}};
  auto call = x.bus().note.broadcast("x");
  x.run();
  EXPECT_EQ(outcome(call), "[]");
  EXPECT_EQ(x.launches(), 0U);
}

// -- registered, as a property of the pool ------------------------------------

TEST(ParityClusterRegistered, ACallIsHeldUntilANodeHasAHandler) {
  holding_pool x{{.nodes = 1}};
  auto call = x.bus().echo("a");
  x.run();
  EXPECT_EQ(x.launches(), 1U) << "a call is the reason to launch the first node";
  EXPECT_EQ(outcome(call), "pending");
  x.child().echo.on([](const std::string& text) { return text; });
  x.run();
  EXPECT_EQ(outcome(call), "\"a\"");
}

TEST(ParityClusterRegistered, ACallThatIsHeldDoesNotHoldUpOthers) {
  holding_pool x{{.nodes = 1}};
  static_cast<void>(x.bus().echo("a"));
  auto other = x.bus().twice(1);
  x.run();
  x.answer(1);
  EXPECT_EQ(outcome(other), "2");
}

TEST(ParityClusterRegistered, HoldsWhileNodesDieAndAreReplaced) {
  holding_pool x{{.nodes = 1}};
  static_cast<void>(x.bus().twice(1));
  x.run();
  x.end_node(1, {true, SIGKILL});
  x.advance(1s);
  auto call = x.bus().twice(2);
  x.advance(1s);
  x.answer(2);
  EXPECT_EQ(outcome(call), "4");
}

TEST(ParityClusterRegistered, EndsWhenEveryLiveNodeHasWithdrawnIt) {
  holding_pool x{{.nodes = 2, .min_nodes = 2}};
  const auto gone = x.child().echo.on([](const std::string& text) { return text; });
  x.run();
  gone();
  x.run();
  auto call = x.bus().echo("a");
  x.run();
  EXPECT_EQ(outcome(call), "pending");
}

TEST(ParityClusterRegistered, IsExpectedOfReplacementsWithinABound) {
  holding_pool x{{.nodes = 1, .min_nodes = 1}};
  std::size_t connected = 0;
  std::vector<std::string> disconnected;
  x.bus().echo.lazy([&](const std::string&) { ++connected; },
                    [&](const std::string& param) { disconnected.push_back(param); });
  x.run();
  for (std::size_t i = 0; i < registrations_max - 1; ++i) // and `twice`
    caf::anon_send(x.router(), node_announcement{1, handler_registered{"echo", std::to_string(i)}});
  x.run();
  EXPECT_EQ(connected, registrations_max - 1);
  x.end_node(1, {true, SIGKILL});
  x.advance(1s);
  caf::anon_send(x.router(), node_announcement{2, handler_registered{"echo", "its own"}});
  x.run();
  EXPECT_EQ(connected, registrations_max);
  EXPECT_THAT(disconnected, IsEmpty());
  x.end_node(2, {true, SIGKILL});
  x.advance(1s);
  EXPECT_THAT(disconnected, ElementsAre("0"));
}

TEST(ParityClusterRegistered, ASlotIsIgnoredWhileOneNodeIgnoresItAndNoneHandlesIt) {
  holding_pool x{{.nodes = 1, .min_nodes = 1}};
  x.run();
  caf::anon_send(x.router(), node_announcement{1, event_list{{"echo"}}});
  x.run();
  auto ignored = x.bus().echo("a");
  x.run();
  EXPECT_THAT(outcome(ignored), HasSubstr("no_handler"));
  const auto gone = x.child().echo.on([](const std::string& text) { return text; });
  x.run();
  auto handled = x.bus().echo("b");
  auto held = x.bus().echo("c", {.param = {"other"}});
  x.run();
  EXPECT_EQ(outcome(handled), "\"b\"");
  EXPECT_EQ(outcome(held), "pending") << "whoever handles the slot may handle more of it";
  gone();
  x.run();
  auto again = x.bus().echo("d");
  x.run();
  EXPECT_THAT(outcome(again), HasSubstr("no_handler"));
}

TEST(ParityClusterRegistered, NoBufferDoesNotWaitForAHandler) {
  holding_pool x{{.nodes = 1}};
  auto call = x.bus().now(1);
  x.run();
  EXPECT_EQ(outcome(call), "no_handler: no handler for slot now with param $_DEFAULT_$");
}

// -- 3 ------------------------------------------------------------------------

TEST(ParityCluster3Death, AnExitCodeIsInTheText) {
  holding_pool x{{.nodes = 1}};
  auto call = x.bus().twice(1);
  x.run();
  x.end_node(1, {false, 3});
  x.run();
  EXPECT_EQ(outcome(call), "node_died: Node closed, code: 3, signal: null");
}

TEST(ParityCluster3Death, ASignalIsInTheText) {
  holding_pool x{{.nodes = 1}};
  auto call = x.bus().twice(1);
  x.run();
  x.end_node(1, {true, SIGSEGV});
  x.run();
  EXPECT_EQ(outcome(call), "node_died: Node closed, code: null, signal: SIGSEGV");
}

TEST(ParityCluster3Death, ALaunchErrorIsTheWaitingRequestsError) {
  holding_pool x{{.nodes = 1}};
  x.script_all({.launch_error = make_error(errc::launch_failed, "no such program")});
  auto call = x.bus().twice(1);
  x.run();
  EXPECT_THAT(outcome(call), HasSubstr("launch_failed: no such program"));
}

TEST(ParityCluster3Death, FailsOnlyWhatRanOnThatNodeAndEachOnce) {
  holding_pool x{{.nodes = 2}};
  std::vector<std::string> ends;
  for (int i = 1; i <= 3; ++i)
    x.bus().twice(i).on_result(
        [&, i](caf::expected<int> y) { ends.push_back(std::to_string(i) + (y ? " answered" : " failed")); });
  x.run();
  x.end_node(1, {true, SIGKILL});
  x.advance(1s);
  EXPECT_THAT(ends, ElementsAre("1 failed"));
  x.answer(1); // from the grave
  x.answer(2);
  x.answer(3);
  EXPECT_THAT(ends, ElementsAre("1 failed", "2 answered", "3 answered"));
}

TEST(ParityCluster3Death, EndsTheNodesPartOfABroadcast) {
  test::pool<events> pool{{.nodes = 2, .min_nodes = 2}};
  std::vector<promise<int>> open;
  pool.child().now.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  pool.run();
  auto call = pool.bus().now.broadcast(1);
  pool.run();
  ASSERT_EQ(open.size(), 2U);
  pool.end_node(1, {false, 7});
  pool.run();
  EXPECT_EQ(outcome(call), "pending");
  open[1].deliver(5);
  pool.run();
  EXPECT_EQ(outcome(call), "[node_died: Node closed, code: 7, signal: null, 5]");
}

// -- children call their master -----------------------------------------------

TEST(ParityClusterChildCalls, TheAnswerGoesToTheChildThatAsked) {
  test::pool<events> pool{{.nodes = 2}};
  std::vector<promise<int>> asked;
  pool.bus().now.on([&](int, promise<int> done) { asked.push_back(std::move(done)); });
  pool.child().twice.on([&](int x, promise<int> done) {
    pool.child().now(x).on_result([done, x](caf::expected<int> y) { done.deliver(1000 * x + *y); });
  });
  auto first = pool.bus().twice(1);
  auto second = pool.bus().twice(2);
  pool.run();
  ASSERT_EQ(asked.size(), 2U);
  asked[1].deliver(22);
  pool.run();
  EXPECT_EQ(outcome(first), "pending");
  EXPECT_EQ(outcome(second), "2022");
  asked[0].deliver(11);
  pool.run();
  EXPECT_EQ(outcome(first), "1011");
}

TEST(ParityClusterChildCalls, AnEventOfARunningCallReachesTheMasterBeforeTheCallEnds) {
  test::pool<events> pool;
  std::vector<std::string> seen;
  pool.bus().note.on([&](const std::string& text) { seen.push_back(text); });
  pool.child().twice.on([&](int x, promise<int> done) {
    static_cast<void>(pool.child().note("begun"));
    pool.child().note("halfway").on_result([done, x](const caf::expected<void>&) { done.deliver(2 * x); });
  });
  pool.bus().twice(1).on_result([&](const caf::expected<int>&) { seen.emplace_back("answered"); });
  pool.run();
  EXPECT_THAT(seen, ElementsAre("begun", "halfway", "answered"));
}

TEST(ParityClusterChildCalls, WaitUntilTheMasterHasAHandler) {
  test::pool<events> pool;
  pool.child().twice.on([&](int x, promise<int> done) {
    pool.child().echo("a").on_result([done, x](const caf::expected<std::string>& y) { done.deliver(y ? x : -1); });
  });
  auto call = pool.bus().twice(1, {.timeout = no_timeout});
  pool.advance(10s);
  EXPECT_EQ(outcome(call), "pending");
  pool.bus().echo.on([](const std::string& text) { return text; });
  pool.run();
  EXPECT_EQ(outcome(call), "1");
}

TEST(ParityClusterChildCalls, AMastersFailureIsTheChildsError) {
  test::pool<events> pool;
  pool.bus().note.on([](const std::string&) { throw std::runtime_error("not today"); });
  pool.child().echo.on([&](const std::string& text, promise<std::string> done) {
    pool.child().note(text).on_result([done](const caf::expected<void>& y) { done.deliver(in_words(y)); });
  });
  auto call = pool.bus().echo("x");
  pool.run();
  EXPECT_EQ(outcome(call), "\"handler_failed: not today\"");
}

} // namespace

} // namespace cluster_channel::parity
