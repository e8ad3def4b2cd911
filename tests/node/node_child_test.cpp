// Children of Node in a pool: handlers that come and go, errors, death, both directions.

#include "node_pool.hpp"
#include <algorithm>
#include <set>

namespace node_test {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using NodeChild = NodeTest;
CLUSTER_CHANNEL_EACH_VERSION(NodeChild);

// -- errors -------------------------------------------------------------------

TEST_P(NodeChild, AnErrorKeepsMessageAndStack) {
  const auto& bus = make();
  const auto what = failed(bus.fail("no luck"));
  EXPECT_EQ(what.code, errc::handler_failed);
  EXPECT_EQ(what.text, "Error: no luck");
  EXPECT_THAT(what.stack, AllOf(StartsWith("Error: no luck"), HasSubstr("child.js:")));
  EXPECT_EQ(what.slot, "fail");
  EXPECT_EQ(what.node, 1U);
}

TEST_P(NodeChild, ARejectedPromiseIsAnError) {
  const auto& bus = make();
  EXPECT_EQ(failed(bus.run("return Promise.reject(new TypeError('later'))")).text, "TypeError: later");
}

TEST_P(NodeChild, AnAnswerMayComeLater) {
  const auto& bus = make();
  EXPECT_EQ(value_of(bus.run("return new Promise((done) => setTimeout(() => done('later'), 20))")), "later");
}

// -- handlers that come and go ------------------------------------------------

TEST_P(NodeChild, ParametersChooseTheHandler) {
  const auto& bus = make();
  EXPECT_EQ(value_of(bus.by_param("x", {.param = {"a"}})), "a x");
  EXPECT_EQ(value_of(bus.by_param("x", {.param = {"b"}})), "b x");
  EXPECT_EQ(failed(bus.by_param("x", {.param = {"c"}, .timeout = 200ms})).text,
            "TIMED_OUT on by_param with param c: no node has registered a handler for it");
}

TEST_P(NodeChild, ACallWaitsForALateHandler) {
  auto options = node_options();
  options.environment.set["LATE_MS"] = "150";
  const auto& bus = make(std::move(options));
  EXPECT_EQ(value_of(bus.echo_string("early")), "early");
}

TEST_P(NodeChild, ACallWaitsForAHandlerThatIsRegisteredLongAfterTheStart) {
  const auto& bus = make();
  EXPECT_TRUE(succeeded(bus.nothing()));
  auto early = bus.late("x");
  EXPECT_EQ(value_of(bus.run("bus.late.on((x) => `late ${x}`); return 'registered'")), "registered");
  EXPECT_EQ(value_of(std::move(early)), "late x");
}

TEST_P(NodeChild, EachNodeGetsACallOnlyWhenItHasTheHandler) {
  auto options = node_options();
  options.nodes = 3;
  options.environment.set["LATE_MS"] = "100";
  const auto& bus = make(std::move(options));
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 30; ++i)
    calls.push_back(bus.echo_string(std::to_string(i)));
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(value_of(std::move(calls[static_cast<std::size_t>(i)])), std::to_string(i));
}

TEST_P(NodeChild, AfterTheHandlerWasRemovedCallsWaitAgain) {
  const auto& bus = make();
  EXPECT_EQ(value_of(bus.echo_string("x")), "x");
  EXPECT_EQ(value_of(bus.run("off.echo_string(); return 'removed'")), "removed");
  EXPECT_EQ(failed(bus.echo_string("x", {.timeout = 200ms})).code, errc::timed_out);
  auto waiting = bus.echo_string("y");
  EXPECT_EQ(value_of(bus.run("bus.echo_string.on((x) => `new ${x}`); return 'back'")), "back");
  EXPECT_EQ(value_of(std::move(waiting)), "new y");
}

TEST_P(NodeChild, LazyCallbacksHearOfTheChildsHandlers) {
  const auto& bus = make();
  std::mutex mutex;
  std::vector<std::string> heard;
  const auto hear = [&](const std::string& what) {
    std::lock_guard guard{mutex};
    heard.push_back(what);
  };
  const auto stop = bus.by_param.lazy([&](const std::string& x) { hear("connect " + x); },
                                      [&](const std::string& x) { hear("disconnect " + x); });
  EXPECT_EQ(value_of(bus.by_param("x", {.param = {"b"}})), "b x");
  stop();
  std::lock_guard guard{mutex};
  ASSERT_EQ(heard.size(), 4U);
  EXPECT_THAT((std::set<std::string>{heard.begin(), heard.end()}),
              ElementsAre("connect a", "connect b", "disconnect a", "disconnect b"));
}

TEST_P(NodeChild, NodesThatAreThereBeforeTheBusServeIt) {
  auto options = node_options();
  options.min_nodes = 1;
  channel = std::make_unique<master_channel>(std::move(options));
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (channel->stats().ready_nodes < 1 && std::chrono::steady_clock::now() < end) {
  }
  bus = std::make_unique<event_bus<events>>(*channel);
  EXPECT_EQ(value_of(bus->echo_string("x")), "x");
}

TEST_P(NodeChild, MayAskItsMasterBeforeItHandlesAnything) {
  auto options = node_options();
  options.environment.set["ASK_FIRST"] = "1";
  const auto& bus = make(std::move(options));
  bus.ask_master.on([](const std::string& x) { return x; });
  EXPECT_EQ(value_of(bus.echo_string("x")), "x");
  EXPECT_EQ(failed(bus.fail("x")).node, 1U) << "the first node got its answer";
}

TEST_P(NodeChild, AHandlerThatTheMasterRemovedIsWaitedForAgain) {
  const auto& bus = make();
  const auto ask =
      "return Promise.race([bus.ask_master('x'), new Promise((done) => setTimeout(() => done('nobody'), 50))])";
  const auto remove = bus.ask_master.on([](const std::string&) { return std::string{"somebody"}; });
  EXPECT_EQ(value_of(bus.run(ask)), "somebody");
  remove();
  EXPECT_EQ(value_of(bus.run(ask)), "nobody");
}

TEST_P(NodeChild, ASlotThatItIgnoresFailsAtOnce) {
  if (std::string{GetParam()} == "ts-event-bus-2")
    GTEST_SKIP() << "ts-event-bus 2 knows no ignored events";
  auto options = node_options();
  options.environment.set["IGNORE"] = "late";
  const auto& bus = make(std::move(options));
  EXPECT_TRUE(succeeded(bus.nothing()));
  EXPECT_THAT(failed(bus.late("x")).code, ::testing::AnyOf(errc::event_ignored, errc::no_handler));
}

TEST_P(NodeChild, IsToldWhatTheMasterIgnoresAndGoesOn) {
  if (std::string{GetParam()} == "ts-event-bus-2")
    GTEST_SKIP() << "ts-event-bus 2 ends on a list of ignored events";
  channel = std::make_unique<master_channel>(node_options());
  bus = std::make_unique<event_bus<events>>(bus_options{.channels = {channel.get()}, .ignored_events = {"progress"}});
  EXPECT_EQ(value_of(bus->echo_string("x")), "x");
  EXPECT_EQ(value_of(bus->echo_string("y")), "y");
  EXPECT_EQ(channel->stats().ready_nodes, 1U);
}

// -- death --------------------------------------------------------------------

TEST_P(NodeChild, AnExitInTheMiddleFailsThatCallAlone) {
  const auto& bus = make();
  auto dies = bus.run("process.exit(3)");
  auto waits = bus.echo_string("next");
  const auto what = failed(std::move(dies));
  EXPECT_EQ(what.code, errc::node_died);
  EXPECT_EQ(what.text, "Node closed, code: 3, signal: null");
  EXPECT_EQ(what.exit_code, 3);
  EXPECT_EQ(value_of(std::move(waits)), "next");
}

TEST_P(NodeChild, ASignalIsTold) {
  const auto& bus = make();
  const auto what = failed(bus.run("process.kill(process.pid, 'SIGKILL'); return new Promise(() => {})"));
  EXPECT_EQ(what.text, "Node closed, code: null, signal: SIGKILL");
  EXPECT_EQ(what.signal, SIGKILL);
}

TEST_P(NodeChild, ADisconnectFailsTheRunningCallAndANewNodeTakesTheNext) {
  const auto& bus = make();
  const auto first = value_of(bus.pid());
  const auto what = failed(bus.run("setInterval(() => {}, 1000); process.disconnect(); return new Promise(() => {})"));
  EXPECT_EQ(what.code, errc::node_died);
  EXPECT_EQ(what.text, "Node disconnected");
  EXPECT_NE(value_of(bus.pid()), first);
}

TEST_P(NodeChild, HalfALineAndAnExitIsSaid) {
  const auto& bus = make();
  const auto what = failed(bus.run("require('fs').writeSync(3, '{\"type\":\"resp'); process.exit(1)"));
  EXPECT_EQ(what.code, errc::node_died);
  EXPECT_EQ(what.text, "Node closed, code: 1, signal: null, in the middle of a message");
  EXPECT_EQ(value_of(bus.echo_string("next")), "next");
}

TEST_P(NodeChild, ALineThatIsNoJsonEndsTheNode) {
  const auto& bus = make();
  const auto what = failed(bus.run("require('fs').writeSync(3, 'nonsense\\n'); return new Promise(() => {})"));
  EXPECT_EQ(what.code, errc::protocol_error);
  EXPECT_THAT(what.text, HasSubstr("a line that is no JSON"));
  EXPECT_EQ(value_of(bus.echo_string("next")), "next");
}

TEST_P(NodeChild, ALoneSurrogateEndsTheNodeRatherThanBeingReplaced) {
  const auto& bus = make();
  EXPECT_EQ(failed(bus.run("return '\\ud800'")).code, errc::protocol_error);
}

TEST_P(NodeChild, AProgramThatDiesAtItsStartIsNotRelaunchedWithoutEnd) {
  auto options = node_options();
  options.args = {"-e", "throw new Error('broken')"};
  options.output = output_mode::drop;
  options.backoff = {.initial = 1ms, .longest = 2ms, .failures_max = 3};
  const auto& bus = make(std::move(options));
  const auto what = failed(bus.nothing());
  EXPECT_EQ(what.code, errc::launch_failed);
  EXPECT_THAT(what.text, AllOf(HasSubstr("gave up after 3 failed starts"), HasSubstr("code: 1"),
                               HasSubstr("before it said anything on Node's IPC")));
}

TEST_P(NodeChild, AProgramWithoutABusIsGivenUpInTime) {
  auto options = node_options();
  options.args = {"-e", "process.on('message', () => {})"};
  options.start_timeout = 300ms;
  const auto& bus = make(std::move(options));
  const auto what = failed(bus.nothing());
  EXPECT_EQ(what.code, errc::launch_failed);
  EXPECT_THAT(what.text, HasSubstr("no message from node within 300 ms"));
}

TEST_P(NodeChild, KillingNodesLosesAndDoublesNoCall) {
  auto options = node_options();
  options.nodes = 2;
  const auto& bus = make(std::move(options));
  std::size_t answered = 0;
  std::size_t died = 0;
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 200; ++i)
    calls.push_back(i % 50 == 25 ? bus.run("process.kill(process.pid, 'SIGKILL'); return new Promise(() => {})")
                                 : bus.echo_string("x"));
  for (auto& each : calls) {
    auto result = each.get(deadline);
    if (result)
      ++answered;
    else if (code_of(result.error()) == errc::node_died)
      ++died;
    else
      ADD_FAILURE() << describe(result.error());
  }
  EXPECT_EQ(died, 4U);
  EXPECT_EQ(answered, 196U);
}

// -- time and load ------------------------------------------------------------

TEST_P(NodeChild, ATimedOutCallsLateAnswerIsDropped) {
  const auto& bus = make();
  EXPECT_TRUE(succeeded(bus.nothing()));
  EXPECT_EQ(
      failed(bus.run("return new Promise((done) => setTimeout(() => done('late'), 300))", {.timeout = 50ms})).text,
      "TIMED_OUT on run with param $_DEFAULT_$");
  EXPECT_EQ(value_of(bus.echo_string("next")), "next");
}

TEST_P(NodeChild, TenThousandPipelinedCallsAreAllAnswered) {
  auto options = node_options();
  options.calls_per_node = 256;
  const auto& bus = make(std::move(options));
  std::vector<call<std::int64_t>> calls;
  for (std::int64_t i = 0; i < 10'000; ++i)
    calls.push_back(bus.echo_integer(i));
  for (std::int64_t i = 0; i < 10'000; ++i)
    ASSERT_EQ(value_of(std::move(calls[static_cast<std::size_t>(i)])), i);
}

TEST_P(NodeChild, ClosingLetsTheRunningCallFinishAndEndsTheChild) {
  const auto& bus = make();
  EXPECT_TRUE(succeeded(bus.nothing()));
  auto running = bus.run("return new Promise((done) => setTimeout(() => done('drained'), 100))");
  channel->close();
  EXPECT_EQ(value_of(std::move(running)), "drained");
  EXPECT_EQ(failed(bus.nothing()).code, errc::channel_closed);
}

// -- output and other messages ------------------------------------------------

TEST_P(NodeChild, WhatItPrintsIsForwarded) {
  std::mutex mutex;
  std::vector<std::string> lines;
  auto options = node_options();
  options.on_output = [&](const output_line& line) {
    std::lock_guard guard{mutex};
    lines.push_back((line.stream == output_stream::out ? "out " : "err ") + line.text);
  };
  const auto& bus = make(std::move(options));
  EXPECT_EQ(value_of(bus.run("console.log('hello'); console.error('oops'); return ''")), "");
  this->bus.reset();
  channel.reset(); // hands on what is in the pipes
  std::sort(lines.begin(), lines.end());
  EXPECT_THAT(lines, ElementsAre("err oops", "out hello"));
}

TEST_P(NodeChild, OtherMessagesOnItsIpcAreSkipped) {
  const auto& bus = make();
  EXPECT_EQ(
      value_of(bus.run("process.send('ready'); process.send({ type: 'other' }); process.send(17); return 'sent'")),
      "sent");
  EXPECT_EQ(value_of(bus.echo_string("next")), "next");
}

TEST_P(NodeChild, AHandleThatItPassesIsRefusedAndItGoesOn) {
  auto options = node_options();
  options.output = output_mode::drop; // Node warns
  const auto& bus = make(std::move(options));
  EXPECT_EQ(value_of(bus.run("const server = require('net').createServer().listen(0, '127.0.0.1', () => "
                             "process.send({ other: 1 }, server, () => server.close())); return 'passed'")),
            "passed");
  EXPECT_EQ(value_of(bus.echo_string("next")), "next");
}

// -- both directions ----------------------------------------------------------

TEST_P(NodeChild, CallsTheMastersSlotsAndEachChildGetsItsOwnAnswer) {
  auto options = node_options();
  options.nodes = 2;
  const auto& bus = make(std::move(options));
  bus.ask_master.on([](const std::string& x) { return "master says " + x; });
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 20; ++i)
    calls.push_back(bus.run("return bus.ask_master('" + std::to_string(i) + "')"));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(value_of(std::move(calls[static_cast<std::size_t>(i)])), "master says " + std::to_string(i));
}

TEST_P(NodeChild, HearsTheMastersErrors) {
  const auto& bus = make();
  bus.ask_master.on([](const std::string&) -> std::string { throw std::runtime_error{"not now"}; });
  EXPECT_THAT(value_of(bus.run("return bus.ask_master('x').catch((e) => `${e}`)")), HasSubstr("not now on ask_master"));
}

TEST_P(NodeChild, ReportsProgressWhileItsCallRuns) {
  const auto& bus = make();
  std::mutex mutex;
  std::vector<double> parts;
  bus.progress.on([&](double part) {
    std::lock_guard guard{mutex};
    parts.push_back(part);
  });
  EXPECT_EQ(value_of(bus.run("return bus.progress(0.25).then(() => bus.progress(1)).then(() => 'done')")), "done");
  std::lock_guard guard{mutex};
  EXPECT_THAT(parts, ElementsAre(0.25, 1.0));
}

TEST_P(NodeChild, ABroadcastReachesEveryNode) {
  auto options = node_options();
  options.nodes = 3;
  options.min_nodes = 3;
  const auto& bus = make(std::move(options));
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (channel->stats().ready_nodes < 3 && std::chrono::steady_clock::now() < end) {
  }
  const auto answers = value_of(bus.pid.broadcast());
  std::set<std::int64_t> pids;
  for (const auto& each : answers)
    pids.insert(each ? *each : 0);
  EXPECT_EQ(pids.size(), 3U);
  EXPECT_FALSE(pids.contains(0));
}

TEST_P(NodeChild, AFirstProgramThatCannotStartLeavesTheCallsToTheOthers) {
  auto options = node_options();
  options.more_programs = {{.executable = options.executable,
                            .args = options.args,
                            .environment = options.environment,
                            .codec = message_codec::json,
                            .nodes = 1}};
  options.executable = "./no_such_program";
  const auto& bus = make(std::move(options));
  EXPECT_EQ(value_of(bus.echo_string("x")), "x");
}

// -- mixed pools --------------------------------------------------------------

TEST_P(NodeChild, SharesAPoolWithChildrenInCpp) {
  auto options = node_options();
  options.nodes = 2;
  options.more_programs = {{.executable = CLUSTER_CHANNEL_NODE_TEST_CHILD, .nodes = 2}};
  options.min_nodes = 4;
  const auto& bus = make(std::move(options));
  order x{.number = 1, .items = {{"cup", 2.5, "blue"}}, .tag = 5};
  std::set<std::int64_t> pids;
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (pids.size() < 4 && std::chrono::steady_clock::now() < end) {
    std::vector<call<std::int64_t>> asked;
    std::vector<call<order>> echoed;
    for (int i = 0; i < 8; ++i) {
      asked.push_back(bus.pid());
      echoed.push_back(bus.echo_order(x));
    }
    for (auto& each : asked)
      pids.insert(value_of(std::move(each)));
    for (auto& each : echoed)
      ASSERT_EQ(value_of(std::move(each)), x);
  }
  EXPECT_EQ(pids.size(), 4U);
}

} // namespace

} // namespace node_test
