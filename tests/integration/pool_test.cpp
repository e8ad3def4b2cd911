// The cluster channel over real processes.

#include <cluster_channel/actors/actor_system_config.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include "echo_pool.hpp"
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <sys/wait.h>

namespace test_mismatch {

struct events {
  cluster_channel::slot<int, int> echo; // a string in echo_child
};
BOOST_DESCRIBE_STRUCT(events, (), (echo))

} // namespace test_mismatch

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

master_options with(void (*change)(master_options&)) {
  auto options = echo_options();
  change(options);
  return options;
}

// -- calling ------------------------------------------------------------------

TEST(Processes, NothingIsLaunchedBeforeTheFirstCall) {
  const echo_pool pool;
  EXPECT_THAT(children(), IsEmpty());
  EXPECT_EQ(pool.channel.stats().launching_nodes, 0U);
}

TEST(Processes, MinNodesAreLaunchedWithoutACall) {
  const echo_pool pool{with([](auto& x) { x.nodes = 3, x.min_nodes = 2; })};
  EXPECT_TRUE(eventually([&] { return pool.channel.stats().idle_nodes == 2; }));
  EXPECT_EQ(children().size(), 2U);
}

TEST(Processes, AnswerACall) {
  echo_pool pool;
  EXPECT_EQ(*pool.bus.echo("hello").get(deadline), "hello");
  EXPECT_EQ(*pool.bus.multiply({6, 7}).get(deadline), 42);
}

TEST(Processes, IdleAfterBusySequentialCallsReuseOneNode) {
  echo_pool pool{with([](auto& x) { x.nodes = 4; })};
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(*pool.bus.echo(std::to_string(i)).get(deadline), std::to_string(i));
  EXPECT_EQ(pool.channel.stats().ready_nodes, 1U);
  EXPECT_EQ(children().size(), 1U);
}

TEST(Processes, ConcurrentCallsUseAtMostNodesProcesses) {
  echo_pool pool{with([](auto& x) { x.nodes = 3; })};
  std::vector<call<void>> calls;
  for (int i = 0; i < 12; ++i)
    calls.push_back(pool.bus.sleep_ms(20));
  std::size_t most = 0;
  for (auto& one : calls) {
    ASSERT_TRUE(one.get(deadline));
    most = std::max(most, children().size());
  }
  EXPECT_EQ(most, 3U);
}

TEST(Processes, CallsToSeveralNodesRunAtTheSameTime) {
  echo_pool pool{with([](auto& x) { x.nodes = 2; })};
  auto slow = pool.bus.sleep_ms(60'000);
  EXPECT_EQ(*pool.bus.echo("meanwhile").get(deadline), "meanwhile");
  pool.channel.close(0ms);
  EXPECT_EQ(failed(std::move(slow)).code, errc::channel_closed);
}

TEST(Processes, CarryTenMegabytesBothWays) {
  echo_pool pool;
  std::string large(10'000'000, 'x'); // NOLINT(bugprone-string-constructor): meant
  for (std::size_t i = 0; i < large.size(); i += 1000)
    large[i] = static_cast<char>('a' + i / 1000 % 26);
  EXPECT_TRUE(*pool.bus.echo(large).get(deadline) == large);
}

TEST(Processes, AMessageBeyondTheLimitFailsThatCallAlone) {
  echo_pool pool{with([](auto& x) { x.frame_bytes_max = 100'000; })};
  EXPECT_EQ(*pool.bus.echo("small").get(deadline), "small");
  const auto what = failed(pool.bus.echo(std::string(200'000, 'x')));
  EXPECT_EQ(what.code, errc::message_too_large);
  EXPECT_THAT(what.text, HasSubstr("frame_bytes_max is 100000"));
  EXPECT_EQ(*pool.bus.echo("small").get(deadline), "small");
  EXPECT_EQ(pool.channel.stats().ready_nodes, 1U);
}

TEST(Processes, AHandlersExceptionBecomesTheErrorOfTheCall) {
  echo_pool pool;
  const auto what = failed(pool.bus.fail("no luck"));
  EXPECT_EQ(what.code, errc::handler_failed);
  EXPECT_EQ(what.text, "no luck");
  EXPECT_EQ(what.slot, "fail");
  EXPECT_EQ(what.node, 1U);
  EXPECT_GT(what.pid, 0);
}

TEST(Processes, PipelinedCallsAreAllAnsweredRight) {
  echo_pool pool{with([](auto& x) { x.nodes = 2, x.calls_per_node = 64; })};
  std::vector<call<std::string>> calls;
  for (int i = 0; i < 20'000; ++i)
    calls.push_back(pool.bus.echo(std::to_string(i)));
  for (int i = 0; i < 20'000; ++i)
    ASSERT_EQ(*calls[static_cast<std::size_t>(i)].get(deadline), std::to_string(i));
}

TEST(Processes, TimeOutAndLeaveOtherCallsAlone) {
  echo_pool pool{with([](auto& x) { x.nodes = 2; })};
  ASSERT_TRUE(pool.bus.echo("launches a node").get(deadline));
  auto slow = pool.bus.sleep_ms(60'000, {.timeout = 50ms});
  const auto what = failed(std::move(slow));
  EXPECT_EQ(what.code, errc::timed_out);
  EXPECT_EQ(what.text, "TIMED_OUT on sleep_ms with param $_DEFAULT_$");
  EXPECT_EQ(*pool.bus.echo("x").get(deadline), "x");
  pool.channel.close(0ms);
}

// -- the four ways to call ----------------------------------------------------

class FourWays : public ::testing::Test {
public:
  FourWays() : channel{system, echo_options()}, bus{channel} {}
  actor_system_config config;
  caf::actor_system system{config};
  master_channel channel;
  event_bus<echo::events> bus;
};

TEST_F(FourWays, WithAContinuationInsideAnActor) {
  std::promise<std::int64_t> product;
  system.spawn([&](caf::event_based_actor* self) {
    bus.multiply({6, 7}).then(
        self, [&](std::int64_t x) { product.set_value(x); }, [&](caf::error&) { product.set_value(-1); });
  });
  EXPECT_EQ(product.get_future().get(), 42);
}

TEST_F(FourWays, BlockingWithADeadlineOutsideOfActors) {
  EXPECT_EQ(*bus.multiply({6, 7}).get(deadline), 42);
  auto late = bus.sleep_ms(60'000).get(10ms);
  ASSERT_FALSE(late);
  EXPECT_EQ(code_of(late.error()), errc::timed_out);
  channel.close(0ms);
}

TEST_F(FourWays, AsATypedActor) {
  const auto multiply = bus.multiply.as_actor(system);
  caf::scoped_actor self{system};
  std::int64_t product = 0;
  self->request(multiply, caf::infinite, echo::multiply_request{6, 7})
      .receive([&](std::int64_t x) { product = x; }, [](caf::error& err) { FAIL() << describe(err); });
  EXPECT_EQ(product, 42);
}

TEST_F(FourWays, AsARawMessageToTheRouter) {
  caf::scoped_actor self{system};
  std::string answer;
  self->request(channel.router(), caf::infinite, slot_request{"echo", default_param, encode(std::string{"raw"})})
      .receive([&](const slot_response& x) { answer = *decode<std::string>(x.data); },
               [](caf::error& err) { FAIL() << describe(err); });
  EXPECT_EQ(answer, "raw");
}

TEST_F(FourWays, CafRendersTheErrorsOfTheLibrary) {
  auto result = bus.fail("no luck").get(deadline);
  ASSERT_FALSE(result);
  EXPECT_THAT(system.render(result.error()), HasSubstr("handler_failed: no luck"));
}

TEST(ActorSystem, WithoutIoModuleIsRefused) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  try {
    const master_channel channel{system, echo_options()};
    FAIL() << "it must be refused";
  } catch (const std::invalid_argument& ex) {
    EXPECT_THAT(ex.what(), HasSubstr("configure"));
  }
}

TEST(ActorSystem, OfTheProgramItselfServesWithAnyScheduler) {
  caf::actor_system_config config; // CAF's default, `stealing`
  configure(config);
  caf::actor_system system{config};
  master_channel channel{system, echo_options()};
  const event_bus<echo::events> bus{channel};
  EXPECT_EQ(*bus.echo("x").get(deadline), "x");
}

// -- options ------------------------------------------------------------------

TEST(Options, AreRefusedBeforeAnythingIsLaunched) {
  try {
    const master_channel channel{with([](auto& x) { x.min_nodes = 9, x.nodes = 1; })};
    FAIL() << "they must be refused";
  } catch (const std::invalid_argument& ex) {
    EXPECT_THAT(ex.what(), HasSubstr("min_nodes is 9"));
  }
  EXPECT_THAT(children(), IsEmpty());
}

TEST(Options, OutputGoesToACallbackWithNodeAndPid) {
  std::mutex mutex;
  std::condition_variable came;
  std::vector<output_line> lines;
  master_options options;
  options.executable = "/bin/sh";
  options.args = {"-c", "echo out; echo err >&2; exec " CLUSTER_CHANNEL_ECHO_CHILD};
  options.on_output = [&](const output_line& line) {
    std::lock_guard guard{mutex};
    lines.push_back(line);
    came.notify_all();
  };
  echo_pool pool{options};
  EXPECT_EQ(*pool.bus.echo("x").get(deadline), "x");
  const auto pids = children();
  std::unique_lock guard{mutex};
  ASSERT_TRUE(came.wait_for(guard, deadline, [&] { return lines.size() == 2; }));
  for (const auto& line : lines) {
    EXPECT_EQ(line.node, 1U);
    EXPECT_TRUE(pids.contains(line.pid));
    EXPECT_EQ(line.text, line.stream == output_stream::out ? "out" : "err");
  }
}

TEST(Options, ArgumentsDirectoryAndEnvironmentReachTheChild) {
  std::promise<std::string> said;
  master_options options;
  options.executable = "/bin/sh";
  options.args = {"-c", "echo \"$0 $PWD $CLUSTER_TEST\"; exec " CLUSTER_CHANNEL_ECHO_CHILD, "a b"};
  options.working_directory = "/usr";
  options.environment.set = {{"CLUSTER_TEST", "value"}};
  options.on_output = [&](const output_line& line) { said.set_value(line.text); };
  echo_pool pool{options};
  EXPECT_EQ(*pool.bus.echo("x").get(deadline), "x");
  EXPECT_EQ(said.get_future().get(), "a b /usr value");
}

// -- death --------------------------------------------------------------------

TEST(Death, BySignalFailsTheRunningCallWithAllFacts) {
  echo_pool pool;
  for (const auto signo : {SIGKILL, SIGSEGV, SIGTERM, SIGABRT}) {
    const auto what = failed(pool.bus.crash(signo));
    EXPECT_EQ(what.code, errc::node_died);
    EXPECT_EQ(what.slot, "crash");
    EXPECT_EQ(what.param, default_param);
    EXPECT_GT(what.node, 0U);
    EXPECT_GT(what.pid, 0);
    EXPECT_EQ(what.signal, signo);
    EXPECT_EQ(what.exit_code, -1);
    EXPECT_GT(what.ran_for.count(), 0);
    EXPECT_THAT(what.text, HasSubstr("Node closed, code: null, signal: SIG"));
  }
}

TEST(Death, FailsOnlyTheCallThatRanThere) {
  echo_pool pool{with([](auto& x) { x.nodes = 2; })};
  auto lives = pool.bus.sleep_ms(100);
  auto dies = pool.bus.crash(SIGKILL);
  auto waits = pool.bus.echo("waits");
  EXPECT_EQ(failed(std::move(dies)).code, errc::node_died);
  EXPECT_TRUE(lives.get(deadline));
  EXPECT_EQ(*waits.get(deadline), "waits");
}

TEST(Death, OfAChildThatOnlyEndsIsALaunchError) {
  auto options = with([](auto& x) {
    x.executable = "/bin/sh";
    x.args = {"-c", "exit 9"};
    x.backoff = {.initial = 1ms, .longest = 1ms, .failures_max = 3};
  });
  echo_pool pool{options};
  const auto what = failed(pool.bus.echo("x"));
  EXPECT_EQ(what.code, errc::launch_failed);
  EXPECT_EQ(what.exit_code, 9);
  EXPECT_EQ(what.signal, 0);
  EXPECT_THAT(what.text, HasSubstr("gave up after 3 failed starts"));
  EXPECT_THAT(what.text, HasSubstr("code: 9, signal: null"));
}

TEST(Death, ByAMissingExecutableNamesIt) {
  echo_pool pool{with([](auto& x) { x.executable = "./no_such_child"; })};
  const auto what = failed(pool.bus.echo("x"));
  EXPECT_EQ(what.code, errc::launch_failed);
  EXPECT_THAT(what.text, HasSubstr("./no_such_child"));
  EXPECT_THAT(what.text, HasSubstr("No such file"));
}

TEST(Death, ByAnExecutableThatIsNoneNamesIt) {
  echo_pool pool{with([](auto& x) { x.executable = "/etc/passwd"; })};
  const auto what = failed(pool.bus.echo("x"));
  EXPECT_EQ(what.code, errc::launch_failed);
  EXPECT_THAT(what.text, HasSubstr("Permission denied"));
}

TEST(Death, OfAProgramThatIsNoChildIsNotAHang) {
  echo_pool pool{with([](auto& x) {
    x.executable = "/bin/sleep";
    x.args = {"1000"};
    x.start_timeout = 100ms;
  })};
  const auto what = failed(pool.bus.echo("x"));
  EXPECT_EQ(what.code, errc::launch_failed);
  EXPECT_THAT(what.text, HasSubstr("no hello from /bin/sleep within 100 ms"));
  EXPECT_TRUE(eventually([] { return children().empty(); })) << "it is killed";
}

TEST(Death, ByAClosedLinkOfALiveProcessIsADisconnect) {
  echo_pool pool{with([](auto& x) {
    x.executable = "/bin/sh";
    x.args = {"-c", "exec 3>&-; exec sleep 1000"}; // closes its link and lives on: no exit code will come
    x.disconnect_grace = 50ms;
    x.backoff.failures_max = 1;
  })};
  const auto what = failed(pool.bus.echo("x"));
  EXPECT_THAT(what.text, HasSubstr("Node disconnected"));
  EXPECT_EQ(what.exit_code, -1);
  EXPECT_EQ(what.signal, 0);
  EXPECT_TRUE(eventually([] { return children().empty(); })) << "it is ended";
}

TEST(Death, ByGarbageOnTheLinkEndsTheNode) {
  echo_pool pool{with([](auto& x) {
    x.executable = "/bin/sh";
    x.args = {"-c", "head -c 1000 /dev/urandom >&3; exec sleep 1000"};
    x.backoff.failures_max = 1;
  })};
  const auto what = failed(pool.bus.echo("x"));
  EXPECT_EQ(what.code, errc::protocol_error);
  EXPECT_TRUE(eventually([] { return children().empty(); })) << "it is killed";
}

TEST(Death, ByATypeMismatchNamesBothSides) {
  struct other_master {
    master_channel channel{echo_options()};
    event_bus<test_mismatch::events> bus{channel};
  } pool;
  const auto what = failed(pool.bus.echo(7));
  EXPECT_EQ(what.code, errc::protocol_mismatch);
  EXPECT_THAT(what.text, HasSubstr("i32 -> i32"));
  EXPECT_THAT(what.text, HasSubstr("string -> string"));
}

// A launch takes a few milliseconds; under a sanitizer, one of which makes a fork of a vfork, more than a hundred.
// Nodes must live long enough to be killed at work.
#ifdef CLUSTER_CHANNEL_SANITIZED
constexpr auto kill_period = 300ms;
#else
constexpr auto kill_period = 20ms;
#endif

TEST(Death, OfRandomNodesLosesAndDoublesNoCall) {
  const auto descriptors = open_descriptors();
  constexpr int calls_total = 20'000;
  std::atomic<int> answered{0};
  std::atomic<int> failures{0};
  std::atomic<int> wrong{0};
  std::vector<std::atomic<int>> ends(calls_total);
  {
    std::mutex mutex;
    std::condition_variable_any changed;
    int open = 0;
    echo_pool pool{with([](auto& x) { x.nodes = 4; })};
    // Kills a random child again and again; only this thread names pids, and only those that are our children now.
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::jthread killer{[&](const std::stop_token& stop) {
      std::mt19937 random{seed};
      std::unique_lock guard{mutex};
      while (!stop.stop_requested()) {
        changed.wait_for(guard, stop, kill_period, [] { return false; });
        const auto pids = children();
        if (!pids.empty())
          ::kill(*std::next(pids.begin(), static_cast<std::ptrdiff_t>(random() % pids.size())), SIGKILL);
      }
    }};
    for (int i = 0; i < calls_total; ++i) {
      {
        std::unique_lock guard{mutex};
        ASSERT_TRUE(changed.wait_for(guard, deadline, [&] { return open < 64; }));
        ++open;
      }
      pool.bus.echo(std::to_string(i)).on_result([&, i](caf::expected<std::string> x) {
        ++ends[static_cast<std::size_t>(i)];
        if (x) {
          ++answered;
          wrong += *x != std::to_string(i);
        } else {
          ++failures;
          const auto what = failure_of(x.error());
          wrong += what.code != errc::node_died || what.signal != SIGKILL || what.pid == 0;
        }
        std::lock_guard guard{mutex};
        --open;
        changed.notify_all();
      });
    }
    std::unique_lock guard{mutex};
    ASSERT_TRUE(changed.wait_for(guard, deadline, [&] { return open == 0; }));
  }
  EXPECT_EQ(answered + failures, calls_total);
  EXPECT_TRUE(std::all_of(ends.begin(), ends.end(), [](const auto& x) { return x == 1; }));
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(answered, 0);
  EXPECT_THAT(children(), IsEmpty()) << "no zombie";
  EXPECT_EQ(open_descriptors(), descriptors);
  std::cout << answered << " answered, " << failures << " failed by SIGKILL\n";
}

// -- closing ------------------------------------------------------------------

TEST(Closing, LeavesNoProcessAndNoDescriptor) {
  const auto descriptors = open_descriptors();
  for (int i = 0; i < 5; ++i) {
    echo_pool pool{with([](auto& x) { x.nodes = 3; })};
    std::vector<call<void>> calls;
    for (int c = 0; c < 6; ++c)
      calls.push_back(pool.bus.sleep_ms(1));
    for (auto& one : calls)
      EXPECT_TRUE(one.get(deadline));
  }
  EXPECT_THAT(children(), IsEmpty());
  EXPECT_EQ(open_descriptors(), descriptors);
}

TEST(Closing, LetsRunningAndWaitingCallsFinish) {
  echo_pool pool{with([](auto& x) { x.nodes = 1; })};
  auto runs = pool.bus.sleep_ms(50);
  auto waits = pool.bus.echo("waits");
  pool.channel.close(std::chrono::duration_cast<std::chrono::milliseconds>(deadline));
  EXPECT_TRUE(runs.get(0ms));
  EXPECT_EQ(*waits.get(0ms), "waits");
  EXPECT_EQ(failed(pool.bus.echo("late")).code, errc::channel_closed);
  EXPECT_THAT(children(), IsEmpty());
}

TEST(Closing, KillsAChildThatDoesNotListen) {
  echo_pool pool{with([](auto& x) {
    x.executable = "/bin/sh";
    // Ignores SIGTERM and goes on after its child has ended.
    x.args = {"-c", "trap '' TERM; " CLUSTER_CHANNEL_ECHO_CHILD "; while :; do sleep 1; done"};
    x.exit_grace = 20ms;
    x.term_grace = 20ms;
  })};
  EXPECT_EQ(*pool.bus.echo("x").get(deadline), "x");
  pool.channel.close();
  EXPECT_THAT(children(), IsEmpty());
}

TEST(Closing, MayHappenFromSeveralThreadsAtOnce) {
  echo_pool pool;
  EXPECT_EQ(*pool.bus.echo("x").get(deadline), "x");
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { pool.channel.close(); });
  threads.clear();
  EXPECT_THAT(children(), IsEmpty());
}

TEST(Closing, OfAChannelWithCallsOpenEndsThemAll) {
  std::vector<call<void>> calls;
  {
    echo_pool pool{with([](auto& x) { x.nodes = 2, x.drain_timeout = 0ms; })};
    for (int i = 0; i < 10; ++i)
      calls.push_back(pool.bus.sleep_ms(60'000));
  }
  for (auto& one : calls)
    EXPECT_EQ(failed(std::move(one)).code, errc::channel_closed);
  EXPECT_THAT(children(), IsEmpty());
}

TEST(Closing, CallsAfterTheChannelIsGoneFail) {
  auto channel = std::make_unique<master_channel>(echo_options());
  const event_bus<echo::events> bus{*channel};
  EXPECT_EQ(*bus.echo("x").get(deadline), "x");
  channel.reset();
  EXPECT_EQ(failed(bus.echo("x")).code, errc::channel_closed);
}

TEST(Closing, AMasterKilledBySigkillLeavesNoChildBehind) {
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const auto master = ::fork(); // no thread of ours runs here
  if (master == 0) {
    ::close(pipe_fds[0]);
    echo_pool pool{with([](auto& x) { x.nodes = 2; })};
    auto a = pool.bus.sleep_ms(600'000); // busy children do not read their links
    auto b = pool.bus.sleep_ms(600'000);
    while (pool.channel.stats().running_calls < 2)
      std::this_thread::yield();
    for (const auto pid : children())
      if (::write(pipe_fds[1], &pid, sizeof pid) < 0)
        ::_exit(1);
    ::close(pipe_fds[1]);
    ::pause();
    ::_exit(0);
  }
  ::close(pipe_fds[1]);
  std::vector<pid_t> pids;
  for (pid_t pid = 0; ::read(pipe_fds[0], &pid, sizeof pid) == sizeof pid;)
    pids.push_back(pid);
  ::close(pipe_fds[0]);
  EXPECT_EQ(pids.size(), 2U);
  ::kill(master, SIGKILL);
  ::waitpid(master, nullptr, 0);
  for (const auto pid : pids)
    EXPECT_TRUE(eventually([&] {
      std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
      std::string skip;
      std::string state;
      return !(stat >> skip >> skip >> state) || state == "Z"; // a zombie is up to whoever adopted it
    }));
}

} // namespace

} // namespace cluster_channel
