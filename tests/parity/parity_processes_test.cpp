// The cluster channel with real child processes: its options, its nodes' deaths, and the children's calls.

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "child_events.hpp"
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cluster_channel::parity {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr auto deadline = std::chrono::seconds{30};

master_options child_options(std::size_t nodes = 1) {
  master_options options;
  options.executable = CLUSTER_CHANNEL_PARITY_CHILD;
  options.nodes = nodes;
  options.timeout = no_timeout;
  return options;
}

struct processes {
  explicit processes(master_options options = child_options()) : channel{std::move(options)} {}
  master_channel channel;
  event_bus<parity_child::events> bus{channel};
};

/// The text of a call that failed.
template <class T>
std::string failure_text(call<T>&& x) {
  auto result = x.get(deadline);
  return result ? "it was answered" : failure_of(result.error()).text;
}

/// What happens on other threads, to wait for.
template <class T>
class record {
public:
  void add(T x) {
    const std::lock_guard guard{mutex_};
    seen_.push_back(std::move(x));
    changed_.notify_all();
  }

  /// All there is, once it is `count` or the deadline has passed.
  std::vector<T> wait_for(std::size_t count) {
    std::unique_lock guard{mutex_};
    changed_.wait_for(guard, deadline, [&] { return seen_.size() >= count; });
    return seen_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> seen_;
};

// -- 1 ------------------------------------------------------------------------

TEST(ParityCluster1Options, TheChildGetsItsArguments) {
  auto options = child_options();
  options.args = {"--name=child", "more"};
  processes x{std::move(options)};
  EXPECT_EQ(x.bus.argument().get(deadline), "--name=child");
}

TEST(ParityCluster1Options, TheChildRunsInItsDirectory) {
  auto options = child_options();
  options.working_directory = "/";
  processes x{std::move(options)};
  EXPECT_EQ(x.bus.directory().get(deadline), "/");
}

TEST(ParityCluster1Options, TheChildHasItsEnvironment) {
  auto options = child_options();
  options.environment.set["PARITY"] = "yes";
  options.environment.unset = {"HOME"};
  processes x{std::move(options)};
  EXPECT_EQ(x.bus.value("PARITY").get(deadline), "yes");
  EXPECT_EQ(x.bus.value("HOME").get(deadline), "(not set)");
}

TEST(ParityCluster1Options, StdoutAndStderrAreForwarded) {
  record<std::string> lines;
  auto options = child_options();
  options.on_output = [&](const output_line& line) { lines.add(line.text); };
  processes x{std::move(options)};
  EXPECT_TRUE(x.bus.say("hello").get(deadline));
  EXPECT_THAT(lines.wait_for(2), UnorderedElementsAre("hello on stdout", "hello on stderr"));
}

// -- 2 ------------------------------------------------------------------------

TEST(ParityCluster2Processes, OneAfterTheOtherUseOneNode) {
  processes x{child_options(3)};
  std::set<int> pids;
  for (int i = 0; i < 5; ++i)
    pids.insert(*x.bus.pid().get(deadline));
  EXPECT_EQ(pids.size(), 1U);
}

TEST(ParityCluster2Processes, AtOnceUseAllNodesAndNoMore) {
  record<int> asked;
  std::vector<promise<int>> open; // touched by one thread: the master's handlers run one after the other
  processes x{child_options(2)};
  x.bus.secret.on([&](int y, promise<int> done) {
    open.push_back(std::move(done));
    asked.add(y);
  });
  std::vector<call<int>> calls;
  for (int i = 0; i < 4; ++i)
    calls.push_back(x.bus.ask(i));
  EXPECT_THAT(asked.wait_for(2), UnorderedElementsAre(0, 1));
  EXPECT_EQ(x.channel.stats().ready_nodes, 2U);
  EXPECT_EQ(x.channel.stats().waiting_calls, 2U);
  x.channel.close(std::chrono::milliseconds{0});
}

// -- 3 ------------------------------------------------------------------------

TEST(ParityCluster3Processes, AnExitCodeASignalAndALostLinkHaveTheirTexts) {
  processes x;
  EXPECT_EQ(failure_text(x.bus.quit(3)), "Node closed, code: 3, signal: null");
  EXPECT_EQ(failure_text(x.bus.kill(SIGKILL)), "Node closed, code: null, signal: SIGKILL");
  EXPECT_EQ(failure_text(x.bus.hang_up()), "Node disconnected");
  EXPECT_EQ(x.bus.twice(4).get(deadline), 8) << "the pool works on afterwards";
}

TEST(ParityCluster3Processes, ALaunchErrorHasItsOwnText) {
  auto options = child_options();
  options.executable = "./no_such_program";
  processes x{std::move(options)};
  EXPECT_THAT(failure_text(x.bus.twice(1)), HasSubstr("No such file"));
}

TEST(ParityCluster3Processes, ACallThatWaitedGoesToTheReplacement) {
  processes x;
  auto dies = x.bus.quit(1);
  auto waits = x.bus.twice(4);
  EXPECT_EQ(failure_text(std::move(dies)), "Node closed, code: 1, signal: null");
  EXPECT_EQ(waits.get(deadline), 8);
}

// -- children call their master -----------------------------------------------

TEST(ParityChildCalls, EventsOfARunningCallComeInOrderAndBeforeItsEnd) {
  record<int> steps;
  processes x;
  x.bus.progress.on([&](int step) { steps.add(step); });
  EXPECT_EQ(x.bus.work(5).get(deadline), 5);
  EXPECT_THAT(steps.wait_for(0), ElementsAre(1, 2, 3, 4, 5));
}

TEST(ParityChildCalls, EachAnswerGoesToTheChildThatAsked) {
  record<int> asked;
  std::mutex mutex;
  std::vector<std::pair<int, promise<int>>> open;
  processes x{child_options(2)};
  x.bus.secret.on([&](int y, promise<int> done) {
    {
      const std::lock_guard guard{mutex};
      open.emplace_back(y, std::move(done));
    }
    asked.add(y);
  });
  auto first = x.bus.ask(1);
  auto second = x.bus.ask(2);
  ASSERT_EQ(asked.wait_for(2).size(), 2U);
  const std::lock_guard guard{mutex};
  for (auto pos = open.rbegin(); pos != open.rend(); ++pos)
    pos->second.deliver(100 + pos->first);
  EXPECT_EQ(first.get(deadline), 101);
  EXPECT_EQ(second.get(deadline), 102);
}

TEST(ParityChildCalls, TheMastersFailureIsTheChilds) {
  processes x;
  x.bus.secret.on([](int) -> int { throw std::runtime_error("not for you"); });
  EXPECT_EQ(failure_text(x.bus.ask(1)), "not for you");
}

TEST(ParityChildCalls, WaitUntilTheMasterHasAHandler) {
  processes x;
  auto call = x.bus.ask(1);
  x.bus.secret.on([](int y) { return 7 * y; });
  EXPECT_EQ(call.get(deadline), 7);
}

TEST(ParityChildCalls, AreBoundedForEachChild) {
  auto options = child_options();
  options.child_calls_max = 3;
  std::vector<promise<int>> open;
  processes x{std::move(options)};
  x.bus.secret.on([&](int, promise<int> done) { open.push_back(std::move(done)); });
  EXPECT_EQ(x.bus.flood(3).get(deadline), 2);
  x.channel.close(std::chrono::milliseconds{0});
}

TEST(ParityChildCalls, AHandlerOfTheMasterMayCallThePoolAndWait) {
  processes x{child_options(2)};
  x.bus.secret.on([&](int y) { return *x.bus.twice(y).get(deadline); });
  EXPECT_EQ(x.bus.ask(4).get(deadline), 8);
}

TEST(ParityChildCalls, ABroadcastReachesEveryLiveProcess) {
  auto options = child_options(3);
  options.min_nodes = 3;
  processes x{std::move(options)};
  while (x.channel.stats().ready_nodes < 3)
    std::this_thread::yield();
  std::set<int> seen;
  const auto result = x.bus.pid.broadcast().get(deadline);
  ASSERT_TRUE(result);
  for (const auto& pid : *result)
    seen.insert(*pid);
  EXPECT_EQ(seen.size(), 3U);
}

} // namespace

} // namespace cluster_channel::parity
