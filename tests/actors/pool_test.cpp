// Router and supervisor together, over scripted nodes in virtual time: the rows of their tables in docs/design.md.

#include <cluster_channel/tests/test_kit.hpp>

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../channels/test_events.hpp"
#include <chrono>
#include <tuple>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

using test_pool = test::pool<test_events>;

test::node_script answering_after(std::chrono::milliseconds time) {
  return {.answers_after = time};
}

test::node_script dying_before_hello(int code) {
  return {.exits_before_hello = exit_status{false, code}};
}

/// A pool whose child echoes.
class Pool : public ::testing::Test {
public:
  void make(pool_options options = {}) {
    pool = std::make_unique<test_pool>(std::move(options));
    pool->child().echo.on([](const std::string& text) { return text; });
  }

  call<std::string> echo(std::string text) { return pool->bus().echo(std::move(text)); }

  /// The code a call ended with: `none` for a response, nothing if it has not ended.
  static std::optional<errc> ended(call<std::string>& call) {
    auto result = call.get(0ms);
    if (!result && failure_of(result.error()).text.find("deadline given to get") != std::string::npos)
      return std::nullopt;
    return result ? errc::none : code_of(result.error());
  }

  template <class Response>
  static failure failed(call<Response>& call) {
    auto result = call.get(0ms);
    EXPECT_FALSE(result);
    return result ? failure{} : failure_of(result.error());
  }

  std::unique_ptr<test_pool> pool;
};

// -- dispatch -----------------------------------------------------------------

TEST_F(Pool, LaunchesNothingBeforeTheFirstCall) {
  make({.nodes = 3});
  pool->advance(10s);
  EXPECT_EQ(pool->launches(), 0U);
}

TEST_F(Pool, LaunchesMinNodesAtOnce) {
  make({.nodes = 3, .min_nodes = 2});
  pool->run();
  EXPECT_EQ(pool->launches(), 2U);
  EXPECT_EQ(pool->stats().idle_nodes, 2U);
}

TEST_F(Pool, ReplacesANodeOfTheMinimumThatDied) {
  make({.nodes = 3, .min_nodes = 1});
  pool->advance(2s); // stable by now
  pool->end_node(1, {false, 0});
  pool->run();
  EXPECT_THAT(pool->live_nodes(), ElementsAre(2U));
}

TEST_F(Pool, AnswersACall) {
  make();
  auto call = echo("hello");
  pool->run();
  EXPECT_EQ(call.get(0ms), std::string{"hello"});
}

TEST_F(Pool, SequentialCallsReuseOneNode) {
  make({.nodes = 4});
  for (int i = 0; i < 50; ++i) {
    auto call = echo("x");
    pool->run();
    EXPECT_EQ(ended(call), errc::none);
  }
  EXPECT_EQ(pool->launches(), 1U);
  EXPECT_EQ(pool->calls_given_to(1), 50U);
}

TEST_F(Pool, ConcurrentCallsLaunchUpToTheMaximumAndNoMore) {
  make({.nodes = 3});
  pool->script_all(answering_after(1s));
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 10; ++i)
    calls.push_back(echo("x"));
  pool->run();
  EXPECT_EQ(pool->launches(), 3U);
  EXPECT_EQ(pool->stats().running_calls, 3U);
  EXPECT_EQ(pool->stats().waiting_calls, 7U);
  pool->advance(4s);
  for (auto& call : calls)
    EXPECT_EQ(ended(call), errc::none);
  EXPECT_EQ(pool->launches(), 3U);
}

TEST_F(Pool, BufferedCallsGoOutFirstInFirstOut) {
  make();
  std::vector<std::string> order;
  pool->child().log.on([&](const std::string& text) { order.push_back(text); });
  pool->script_all(answering_after(10ms));
  std::vector<call<void>> calls;
  for (const auto* text : {"1", "2", "3", "4"})
    calls.push_back(pool->bus().log(text));
  pool->advance(100ms);
  EXPECT_THAT(order, ElementsAre("1", "2", "3", "4"));
}

TEST_F(Pool, PipelinesUpToCallsPerNode) {
  make({.calls_per_node = 3});
  pool->script_all(answering_after(1s));
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 5; ++i)
    calls.push_back(echo("x"));
  pool->run();
  EXPECT_EQ(pool->calls_given_to(1), 3U);
  EXPECT_EQ(pool->stats().waiting_calls, 2U);
}

TEST_F(Pool, RefusesCallsBeyondTheBufferAtOnce) {
  make({.buffer_calls_max = 2});
  pool->script_all(answering_after(1s));
  auto runs = echo("runs");
  pool->run();
  auto first = echo("waits");
  auto second = echo("waits");
  auto third = echo("too many");
  pool->run();
  EXPECT_EQ(failed(third).code, errc::buffer_full);
  EXPECT_EQ(failed(third).code, errc::broken_promise) << "a result can be taken once";
  pool->advance(4s);
  EXPECT_EQ(ended(runs), errc::none);
  EXPECT_EQ(ended(first), errc::none);
  EXPECT_EQ(ended(second), errc::none);
}

TEST_F(Pool, RefusesCallsBeyondTheBufferedBytesAtOnce) {
  make({.buffer_bytes_max = 100});
  pool->script_all(answering_after(1s));
  auto runs = echo(std::string(1000, 'x')); // waits for its node to start
  pool->run();
  EXPECT_EQ(ended(runs), errc::buffer_full);
  auto small = echo("x");
  pool->advance(2s);
  EXPECT_EQ(ended(small), errc::none);
}

TEST_F(Pool, AFailedHandlerFreesItsNodeAndGivesItsText) {
  make();
  pool->child().count.on([]() -> int { throw std::runtime_error("no luck"); });
  auto count = pool->bus().count();
  pool->run();
  auto result = count.get(0ms);
  ASSERT_FALSE(result);
  const auto what = failure_of(result.error());
  EXPECT_EQ(what.code, errc::handler_failed);
  EXPECT_EQ(what.text, "no luck");
  EXPECT_EQ(what.slot, "count");
  auto call = echo("x");
  pool->run();
  EXPECT_EQ(ended(call), errc::none);
  EXPECT_EQ(pool->launches(), 1U);
}

// -- handlers that come and go ------------------------------------------------

TEST_F(Pool, ACallWaitsUntilANodeHasRegisteredAHandler) {
  make();
  auto call = pool->bus().count();
  pool->run();
  EXPECT_EQ(pool->live_nodes().size(), 1U) << "it takes a node to learn which handlers there are";
  EXPECT_EQ(pool->stats().waiting_calls, 1U);
  pool->child().count.on([] { return 7; });
  pool->run();
  EXPECT_EQ(*call.get(0ms), 7);
}

TEST_F(Pool, ACallThatNobodyHandlesTimesOutAndSaysSo) {
  make();
  auto call = pool->bus().count();
  pool->advance(5s);
  const auto what = failed(call);
  EXPECT_EQ(what.code, errc::timed_out);
  EXPECT_EQ(what.text, "TIMED_OUT on count with param $_DEFAULT_$: no node has registered a handler for it");
  EXPECT_EQ(pool->stats().waiting_calls, 0U);
}

TEST_F(Pool, CallsThatWaitForAHandlerCountAgainstTheBuffer) {
  make({.buffer_calls_max = 2});
  auto first = pool->bus().count();
  auto second = pool->bus().count();
  auto third = pool->bus().count();
  pool->run();
  EXPECT_EQ(failed(third).code, errc::buffer_full);
}

TEST_F(Pool, HeldCallsGoOutInTheOrderInWhichTheyCame) {
  make();
  std::vector<std::string> seen;
  auto first = pool->bus().log("1");
  auto second = pool->bus().log("2");
  pool->run();
  auto third = pool->bus().log("3");
  pool->child().log.on([&](const std::string& x) { seen.push_back(x); });
  pool->run();
  EXPECT_THAT(seen, ElementsAre("1", "2", "3"));
}

TEST_F(Pool, ARegistrationSurvivesTheNodeThatMadeIt) {
  make();
  pool->child().count.on([] { return 7; });
  auto call = pool->bus().count();
  pool->run();
  pool->end_node(1, {true, SIGKILL});
  pool->run();
  pool->script(2, {.hello_after = 1s});
  auto next = pool->bus().count();
  pool->run();
  EXPECT_EQ(pool->stats().launching_nodes, 1U);
  pool->advance(1s);
  EXPECT_EQ(*next.get(0ms), 7);
}

TEST_F(Pool, AfterTheLastNodeWithdrewItsHandlerCallsWaitAgain) {
  make();
  auto off = pool->child().count.on([] { return 7; });
  auto call = pool->bus().count();
  pool->run();
  off();
  pool->run();
  auto next = pool->bus().count();
  pool->run();
  EXPECT_EQ(pool->stats().waiting_calls, 1U);
  pool->child().count.on([] { return 8; });
  pool->run();
  EXPECT_EQ(*next.get(0ms), 8);
}

// -- death --------------------------------------------------------------------

TEST_F(Pool, ADyingNodeFailsItsRunningCallWithAllFacts) {
  make();
  pool->script(1, {.answers_after = 10s});
  auto call = echo("x");
  pool->advance(250ms);
  pool->end_node(1, {true, SIGSEGV});
  pool->run();
  const auto what = failed(call);
  EXPECT_EQ(what.code, errc::node_died);
  EXPECT_EQ(what.slot, "echo");
  EXPECT_EQ(what.param, default_param);
  EXPECT_EQ(what.node, 1U);
  EXPECT_EQ(what.pid, 1001);
  EXPECT_EQ(what.signal, SIGSEGV);
  EXPECT_EQ(what.exit_code, -1);
  EXPECT_EQ(what.ran_for, 250ms);
  EXPECT_EQ(what.text, "Node closed, code: null, signal: SIGSEGV");
}

TEST_F(Pool, AnExitIsNotConfusedWithASignal) {
  make();
  pool->script(1, {.dies_of_call = 1, .dies_with = {false, 9}});
  auto call = echo("x");
  pool->run();
  const auto what = failed(call);
  EXPECT_EQ(what.exit_code, 9);
  EXPECT_EQ(what.signal, 0);
  EXPECT_EQ(what.text, "Node closed, code: 9, signal: null");
}

TEST_F(Pool, DispatchesBufferedCallToReplacementAfterNodeDies) {
  make();
  pool->script(1, {.dies_of_call = 1});
  auto first = echo("dies");
  auto second = echo("lives");
  pool->run();
  EXPECT_EQ(ended(first), errc::node_died);
  EXPECT_EQ(second.get(0ms), std::string{"lives"});
  EXPECT_EQ(pool->launches(), 2U);
}

TEST_F(Pool, ADeathFailsOnlyTheCallsOfThatNode) {
  make({.nodes = 3});
  pool->script_all(answering_after(1s));
  auto a = echo("a");
  auto b = echo("b");
  auto c = echo("c");
  pool->run();
  pool->end_node(2, {true, SIGKILL});
  pool->advance(2s);
  const auto codes = std::vector{ended(a), ended(b), ended(c)};
  EXPECT_EQ(std::count(codes.begin(), codes.end(), errc::none), 2);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), errc::node_died), 1);
}

TEST_F(Pool, ADeathFailsAllPipelinedCallsOfTheNodeOnce) {
  make({.calls_per_node = 3});
  pool->script(1, {.dies_of_call = 3});
  pool->script_all(answering_after(0ms));
  std::vector<call<std::string>> calls;
  pool->script(1, {.answers_after = 1s, .dies_of_call = 3});
  for (int i = 0; i < 4; ++i)
    calls.push_back(echo("x"));
  pool->advance(2s);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(ended(calls[static_cast<std::size_t>(i)]), errc::node_died);
  EXPECT_EQ(ended(calls[3]), errc::none);
}

TEST_F(Pool, AnIdleNodeMayDieWithoutAnybodyNoticing) {
  make({.nodes = 2});
  auto first = echo("x");
  pool->advance(2s);
  pool->end_node(1, {false, 1});
  pool->run();
  auto second = echo("x");
  pool->advance(2s);
  EXPECT_EQ(ended(first), errc::none);
  EXPECT_EQ(ended(second), errc::none);
  EXPECT_EQ(pool->launches(), 2U);
}

TEST_F(Pool, NodesThatDieWhileServingAreReplacedWithoutPause) {
  make();
  pool->script_all({.dies_of_call = 1});
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 20; ++i)
    calls.push_back(echo("x"));
  pool->run();
  for (auto& call : calls)
    EXPECT_EQ(ended(call), errc::node_died);
  EXPECT_EQ(pool->launches(), 20U);
}

TEST_F(Pool, NeverRunsMoreProcessesThanNodes) {
  make({.nodes = 2});
  pool->script_all({.answers_after = 3ms, .dies_of_call = 4});
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 100; ++i)
    calls.push_back(echo("x"));
  for (int i = 0; i < 1000; ++i) {
    pool->advance(1ms);
    ASSERT_LE(pool->live_nodes().size(), 2U);
  }
  for (auto& call : calls)
    EXPECT_TRUE(ended(call));
}

// -- failing starts -----------------------------------------------------------

TEST_F(Pool, APermanentLaunchErrorFailsTheWaitingCallsAtOnce) {
  make({.nodes = 2});
  pool->script_all({.launch_error = make_error(errc::launch_failed, "cannot launch x: No such file or directory")});
  auto a = echo("a");
  auto b = echo("b");
  pool->run();
  EXPECT_EQ(failed(a).code, errc::launch_failed);
  EXPECT_THAT(failed(b).text, HasSubstr("No such file"));
}

TEST_F(Pool, ATransientLaunchErrorIsTriedAgainAfterGrowingPauses) {
  make({.timeout = no_timeout, .backoff = {.initial = 100ms, .longest = 1s, .failures_max = 4}});
  const test::node_script failing{.launch_error = make_error(errc::launch_failed, "out of processes"),
                                  .launch_error_is_permanent = false};
  for (node_id node = 1; node <= 3; ++node)
    pool->script(node, failing);
  auto call = echo("x");
  pool->run();
  EXPECT_EQ(pool->launches(), 1U);
  pool->advance(99ms);
  EXPECT_EQ(pool->launches(), 1U);
  pool->advance(1ms);
  EXPECT_EQ(pool->launches(), 2U);
  pool->advance(199ms);
  EXPECT_EQ(pool->launches(), 2U);
  pool->advance(1ms);
  EXPECT_EQ(pool->launches(), 3U);
  pool->advance(400ms);
  EXPECT_EQ(ended(call), errc::none);
}

TEST_F(Pool, AChildThatDiesAtStartAgainAndAgainFailsTheWaitingCallsWithTheCause) {
  make({.nodes = 2, .timeout = no_timeout, .backoff = {.initial = 100ms, .longest = 1s, .failures_max = 3}});
  pool->script_all(dying_before_hello(3));
  auto a = echo("a");
  auto b = echo("b");
  auto c = echo("c");
  pool->advance(10s);
  for (auto* call : {&a, &b, &c}) {
    const auto what = failed(*call);
    EXPECT_EQ(what.code, errc::launch_failed);
    EXPECT_THAT(what.text, HasSubstr("gave up after 3 failed starts"));
    EXPECT_THAT(what.text, HasSubstr("code: 3"));
    EXPECT_EQ(what.exit_code, 3);
  }
  EXPECT_LE(pool->launches(), 6U) << "three rounds of two";
  EXPECT_THAT(pool->live_nodes(), IsEmpty());
}

TEST_F(Pool, AfterGivingUpTheNextCallTriesAgain) {
  make({.backoff = {.failures_max = 1}});
  pool->script(1, dying_before_hello(3));
  auto first = echo("x");
  pool->run();
  EXPECT_EQ(ended(first), errc::launch_failed);
  auto second = echo("x");
  pool->run();
  EXPECT_EQ(ended(second), errc::none);
}

TEST_F(Pool, AfterGivingUpTheMinimumIsTriedAgainInTime) {
  make({.min_nodes = 1, .backoff = {.initial = 100ms, .longest = 10s, .failures_max = 1}});
  pool->script(1, dying_before_hello(3));
  pool->script(2, {.launch_error = make_error(errc::launch_failed, "gone")});
  pool->run();
  EXPECT_EQ(pool->launches(), 1U);
  pool->advance(59s);
  EXPECT_EQ(pool->launches(), 1U);
  pool->advance(1s);
  EXPECT_EQ(pool->launches(), 2U);
  pool->advance(61s);
  EXPECT_THAT(pool->live_nodes(), ElementsAre(3U));
}

TEST_F(Pool, WaitingCallsGoOnWithALiveNodeWhenOthersCannotStart) {
  make({.nodes = 2});
  pool->script(1, {.answers_after = 100ms});
  pool->script(2, {.launch_error = make_error(errc::launch_failed, "gone")});
  auto a = echo("a");
  pool->run();
  auto b = echo("b");
  pool->advance(1s);
  EXPECT_EQ(ended(a), errc::none);
  EXPECT_EQ(ended(b), errc::none);
}

TEST_F(Pool, ABrokenChildOfTheMinimumIsNotRelaunchedWithoutEnd) {
  make({.nodes = 1, .min_nodes = 1, .backoff = {.initial = 100ms, .longest = 1s, .failures_max = 4}});
  for (int i = 0; i < 200; ++i) {
    pool->run();
    for (auto node : pool->live_nodes())
      pool->end_node(node, {false, 1}); // says hello, then ends at once
    pool->advance(50ms);
  }
  EXPECT_LE(pool->launches(), 6U);
}

TEST_F(Pool, AStableNodeResetsTheCountOfFailedStarts) {
  make({.timeout = no_timeout, .backoff = {.initial = 10ms, .longest = 10ms, .failures_max = 2}});
  for (node_id node = 1; node <= 9; node += 2)
    pool->script(node, dying_before_hello(1)); // every other start fails
  for (int i = 0; i < 5; ++i) {
    auto call = echo("x");
    pool->advance(2s);
    EXPECT_EQ(ended(call), errc::none);
    for (auto node : pool->live_nodes())
      pool->end_node(node, {false, 0});
    pool->run();
  }
}

// -- timeouts -----------------------------------------------------------------

TEST_F(Pool, ACallTimesOutAfterTheChannelsTimeout) {
  make();
  pool->script_all(answering_after(1h));
  auto call = echo("x");
  pool->advance(4999ms);
  EXPECT_FALSE(ended(call));
  pool->advance(1ms);
  const auto what = failed(call);
  EXPECT_EQ(what.code, errc::timed_out);
  EXPECT_EQ(what.text, "TIMED_OUT on echo with param $_DEFAULT_$");
}

TEST_F(Pool, AWaitingCallTimesOutAndIsNeverSent) {
  make();
  pool->script_all(answering_after(6s));
  auto runs = echo("runs");
  pool->run();
  auto waits = echo("waits");
  pool->advance(5s);
  EXPECT_EQ(ended(waits), errc::timed_out);
  pool->advance(10s);
  EXPECT_EQ(pool->calls_given_to(1), 1U);
}

TEST_F(Pool, ATimedOutCallKeepsItsNodeBusyUntilItAnswersAndItsLateAnswerIsDropped) {
  make();
  pool->script_all(answering_after(8s));
  auto late = echo("late");
  pool->advance(6s);
  EXPECT_EQ(ended(late), errc::timed_out);
  EXPECT_EQ(pool->stats().idle_nodes, 0U);
  pool->advance(2s);
  EXPECT_EQ(pool->stats().idle_nodes, 1U);
  EXPECT_EQ(pool->launches(), 1U);
}

TEST_F(Pool, ACallMayHaveATimeoutOfItsOwn) {
  make();
  pool->script_all(answering_after(8s));
  auto patient = pool->bus().echo("x", {.timeout = 10s});
  auto hasty = pool->bus().echo("x", {.timeout = 1s});
  pool->advance(1s);
  EXPECT_EQ(ended(hasty), errc::timed_out);
  pool->advance(8s);
  EXPECT_EQ(ended(patient), errc::none);
}

TEST_F(Pool, WithoutATimeoutACallWaitsAsLongAsItTakes) {
  make({.timeout = no_timeout});
  pool->script_all(answering_after(1h));
  auto call = echo("x");
  pool->advance(std::chrono::hours{1});
  EXPECT_EQ(ended(call), errc::none);
}

// -- closing ------------------------------------------------------------------

class ClosingPool : public Pool {
public:
  void close(std::chrono::milliseconds drain_timeout) {
    pool->system().spawn([this, drain_timeout](caf::event_based_actor* self) {
      self->request(pool->supervisor(), caf::infinite, close_pool{drain_timeout})
          .then(
              [this](const pool_closed& x) {
                ++closed;
                report = x;
              },
              [this](const caf::error& err) { refused = err; });
    });
    pool->run();
  }
  int closed = 0;
  pool_closed report;
  caf::error refused;
};

TEST_F(ClosingPool, ClosesAtOnceIfNothingRuns) {
  make();
  close(5s);
  EXPECT_EQ(closed, 1);
}

TEST_F(ClosingPool, TakesNoNewCalls) {
  make();
  close(5s);
  auto call = echo("x");
  pool->run();
  EXPECT_EQ(failed(call).code, errc::channel_closed);
  EXPECT_EQ(pool->launches(), 0U);
}

TEST_F(ClosingPool, LetsRunningAndBufferedCallsFinish) {
  make();
  pool->script_all(answering_after(1s));
  auto runs = echo("runs");
  auto waits = echo("waits");
  pool->run();
  close(5s);
  auto refused = echo("late");
  pool->run();
  EXPECT_EQ(ended(refused), errc::channel_closed);
  EXPECT_EQ(closed, 0);
  pool->advance(2s);
  EXPECT_EQ(ended(runs), errc::none);
  EXPECT_EQ(ended(waits), errc::none);
  EXPECT_EQ(closed, 1);
  EXPECT_THAT(pool->live_nodes(), IsEmpty());
  EXPECT_THAT(pool->signals(), IsEmpty()) << "end of file is enough for a good child";
}

TEST_F(ClosingPool, ReplacesANodeThatDiesWhileDraining) {
  make();
  pool->script(1, {.answers_after = 1s, .dies_of_call = 2});
  auto first = echo("a");
  auto second = echo("b");
  auto third = echo("c");
  pool->run();
  close(30s);
  pool->advance(10s);
  EXPECT_EQ(ended(first), errc::none);
  EXPECT_EQ(ended(second), errc::node_died);
  EXPECT_EQ(ended(third), errc::none);
  EXPECT_EQ(closed, 1);
}

TEST_F(ClosingPool, FailsWhatHasNotFinishedByTheDeadline) {
  make({.timeout = no_timeout});
  pool->script_all(answering_after(1h));
  auto runs = echo("runs");
  auto waits = echo("waits");
  pool->run();
  close(3s);
  pool->advance(2999ms);
  EXPECT_FALSE(ended(runs));
  pool->advance(1ms);
  EXPECT_EQ(ended(runs), errc::channel_closed);
  EXPECT_EQ(ended(waits), errc::channel_closed);
  EXPECT_EQ(closed, 1);
}

TEST_F(ClosingPool, AsksWithEndOfFileThenSigtermThenSigkill) {
  make({.exit_grace = 2s, .term_grace = 3s});
  pool->script_all({.ends_at_end_of_file = false, .ends_at_sigterm = false});
  auto call = echo("x");
  pool->run();
  close(0ms);
  pool->advance(1999ms);
  EXPECT_THAT(pool->signals(), IsEmpty());
  pool->advance(1ms);
  EXPECT_THAT(pool->signals(), ElementsAre(Pair(1U, SIGTERM)));
  pool->advance(2999ms);
  EXPECT_EQ(closed, 0);
  pool->advance(1ms);
  EXPECT_THAT(pool->signals(), ElementsAre(Pair(1U, SIGTERM), Pair(1U, SIGKILL)));
  EXPECT_EQ(closed, 1);
}

TEST_F(ClosingPool, ClosingTwiceAnswersBoth) {
  make();
  pool->script_all(answering_after(1s));
  auto call = echo("x");
  pool->run();
  close(5s);
  close(5s);
  pool->advance(2s);
  EXPECT_EQ(closed, 2);
  close(5s);
  EXPECT_EQ(refused, caf::sec::request_receiver_down) << "and closing a closed pool is answered at once";
}

TEST_F(ClosingPool, EndsItsActorsWhenItIsClosed) {
  make();
  std::vector<caf::error> downs;
  const auto watcher = pool->system().spawn([&](caf::event_based_actor* self) -> caf::behavior {
    self->monitor(pool->router());
    self->monitor(pool->supervisor());
    self->set_down_handler([&](const caf::down_msg& down) { downs.push_back(down.reason); });
    return {[](int) {}};
  });
  auto call = echo("x");
  pool->run();
  EXPECT_THAT(downs, IsEmpty());
  close(5s);
  EXPECT_EQ(closed, 1);
  EXPECT_THAT(downs,
              ElementsAre(caf::error{caf::exit_reason::user_shutdown}, caf::error{caf::exit_reason::user_shutdown}));
  caf::anon_send_exit(watcher, caf::exit_reason::kill);
}

TEST_F(ClosingPool, LeavesBehindWhatNoSignalEnds) {
  make({.nodes = 2, .exit_grace = 2s, .term_grace = 3s, .kill_grace = 1s});
  pool->script(1, {.ends_at_end_of_file = false, .ends_at_sigterm = false, .ends_at_sigkill = false});
  auto one = echo("x");
  pool->script(2, {.launch_hangs = true});
  auto two = echo("x");
  pool->run();
  close(0ms);
  pool->advance(5999ms);
  EXPECT_EQ(closed, 0);
  pool->advance(1ms);
  EXPECT_EQ(closed, 1);
  ASSERT_EQ(report.left_behind.size(), 2U);
  EXPECT_EQ(report.left_behind[0].node, 1U);
  EXPECT_EQ(report.left_behind[0].pid, 1001);
  EXPECT_EQ(report.left_behind[1].node, 2U);
  EXPECT_EQ(report.left_behind[1].pid, 0) << "it has none yet";
}

TEST_F(ClosingPool, EndsANodeThatIsStillStarting) {
  make({.timeout = 1s});
  pool->script_all({.hello_after = 1h});
  auto call = echo("x");
  pool->run();
  close(2s);
  pool->advance(2s);
  EXPECT_EQ(ended(call), errc::timed_out);
  EXPECT_EQ(closed, 1);
  EXPECT_THAT(pool->live_nodes(), IsEmpty());
}

// -- raw messages and lost actors ---------------------------------------------

TEST_F(Pool, AnswersARawSlotRequest) {
  make();
  std::string answer;
  pool->system().spawn([&](caf::event_based_actor* self) {
    self->request(pool->router(), caf::infinite, slot_request{"echo", default_param, encode(std::string{"raw"})})
        .then([&](const slot_response& x) { answer = *decode<std::string>(x.data); });
  });
  pool->run();
  EXPECT_EQ(answer, "raw");
}

TEST_F(Pool, FailsARawSlotRequestWithACafError) {
  make();
  caf::error error;
  pool->system().spawn([&](caf::event_based_actor* self) {
    self->request(pool->router(), caf::infinite, slot_request{"nothing", default_param, {}})
        .then([](const slot_response&) { FAIL() << "there is no such slot"; }, [&](caf::error& x) { error = x; });
  });
  pool->run();
  EXPECT_EQ(code_of(error), errc::no_handler);
  EXPECT_THAT(describe(error), HasSubstr("nothing"));
}

TEST_F(Pool, ARawSlotRequestSentWithoutRequestIsAnEvent) {
  make();
  int logged = 0;
  pool->child().log.on([&](const std::string&) { ++logged; });
  caf::anon_send(pool->router(), slot_request{"log", default_param, encode(std::string{"x"})});
  pool->run();
  EXPECT_EQ(logged, 1);
}

TEST_F(Pool, EveryCallEndsWhenTheRouterIsKilled) {
  make();
  pool->script_all(answering_after(1s));
  auto runs = echo("runs");
  auto waits = echo("waits");
  pool->run();
  auto in_mailbox = echo("in the mailbox");
  caf::anon_send_exit(pool->router(), caf::exit_reason::kill);
  pool->run();
  auto later = echo("later");
  pool->run();
  for (auto* call : {&runs, &waits, &in_mailbox})
    EXPECT_EQ(ended(*call), errc::channel_closed);
  EXPECT_EQ(failed(later).code, errc::channel_closed);
}

TEST_F(Pool, ACallAfterTheEndOfTheRouterSaysWhyThatEnded) {
  make();
  caf::anon_send_exit(pool->router(), caf::exit_reason::out_of_workers);
  pool->run();
  auto one = echo("later");
  EXPECT_EQ(ended(one), errc::channel_closed) << "without waiting for anything";
  auto other = echo("later");
  EXPECT_THAT(failed(other).text, HasSubstr("out_of_workers"));
  const auto all = pool->bus().echo.broadcast("later").get(0ms);
  ASSERT_TRUE(all && all->size() == 1);
  EXPECT_THAT(describe(all->front().error()), HasSubstr("out_of_workers"));
}

TEST_F(Pool, ACallAfterTheEndOfTheSupervisorEndsToo) {
  make();
  caf::anon_send_exit(pool->supervisor(), caf::exit_reason::out_of_workers);
  pool->run();
  auto later = echo("later");
  EXPECT_THAT(failed(later).text, HasSubstr("out_of_workers"));
}

// -- events before answers ----------------------------------------------------

/// A pool whose child sends an event before it answers; `log` has no handler at the master but those of the tests.
class EventsFirst : public Pool {
public:
  void make_eventful(pool_options options = {}) {
    pool = std::make_unique<test_pool>(std::move(options));
    pool->child().echo.on([this](const std::string& text) {
      std::ignore = pool->child().log("of " + text);
      return text;
    });
    pool->bus().log.on([this](const std::string& text) { seen.push_back(text); });
  }

  /// Lets one actor do one thing.
  bool step() { return pool->coordinator().try_run_once(); }

  std::vector<std::string> seen;
};

TEST_F(EventsFirst, ACallEndsAfterTheHandlersOfWhatItsChildSentBefore) {
  make_eventful();
  for (int i = 0; i < 20; ++i) {
    seen.clear();
    auto call = echo("x");
    std::optional<std::vector<std::string>> seen_at_end;
    call.on_result([&](const auto&) { seen_at_end = seen; });
    // In whatever order the actors run: the last one first makes the courier run late.
    while (!seen_at_end && (pool->coordinator().try_run_once_lifo() || pool->coordinator().advance_time(1ms) > 0))
      ;
    ASSERT_TRUE(seen_at_end);
    EXPECT_THAT(*seen_at_end, ElementsAre("of x"));
    pool->run();
  }
}

} // namespace

} // namespace cluster_channel
