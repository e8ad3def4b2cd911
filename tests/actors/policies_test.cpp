#include <cluster_channel/actors/deadline_queue.hpp>
#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/actors/pool_options.hpp>
#include <cluster_channel/actors/restart_policy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// -- restart policy -----------------------------------------------------------

TEST(RestartPolicy, DoublesItsPauseUpToTheLongest) {
  restart_policy policy{{.initial = 100ms, .longest = 500ms, .failures_max = 6}};
  for (const auto pause : {100ms, 200ms, 400ms, 500ms, 500ms})
    EXPECT_EQ(policy.start_failed(false), restart_decision{restart_after{pause}});
  EXPECT_EQ(policy.start_failed(false), restart_decision{give_up{6}});
}

TEST(RestartPolicy, GivesUpAtOnceWhenTryingAgainCannotHelp) {
  restart_policy policy{{}};
  EXPECT_EQ(policy.start_failed(true), restart_decision{give_up{1}});
}

TEST(RestartPolicy, CountsAnewAfterASuccess) {
  restart_policy policy{{.initial = 10ms, .longest = 1s, .failures_max = 3}};
  policy.start_failed(false);
  policy.start_failed(false);
  policy.start_succeeded();
  EXPECT_EQ(policy.start_failed(false), restart_decision{restart_after{10ms}});
}

TEST(RestartPolicy, CountsAnewAfterGivingUp) {
  restart_policy policy{{.initial = 10ms, .longest = 1s, .failures_max = 1}};
  EXPECT_EQ(policy.start_failed(false), restart_decision{give_up{1}});
  EXPECT_EQ(policy.start_failed(false), restart_decision{give_up{1}});
}

// -- deadline queue -----------------------------------------------------------

constexpr deadline_queue::clock::time_point epoch{};

const auto every_call = [](call_id) { return true; };

/// All calls that are due, in the order in which they are taken out.
std::vector<call_id> expired(deadline_queue& queue, deadline_queue::clock::time_point now) {
  std::vector<call_id> result;
  while (const auto call = queue.take_due(now))
    result.push_back(*call);
  return result;
}

TEST(DeadlineQueue, IsEmptyAtFirst) {
  deadline_queue queue;
  EXPECT_FALSE(queue.next(every_call));
  EXPECT_THAT(expired(queue, epoch + 1h), IsEmpty());
}

TEST(DeadlineQueue, ExpiresWhatIsDueAndNothingElse) {
  deadline_queue queue;
  queue.add(1, epoch + 5s);
  queue.add(2, epoch + 6s);
  EXPECT_THAT(expired(queue, epoch + 4s), IsEmpty());
  EXPECT_THAT(expired(queue, epoch + 5s), ElementsAre(1U));
  EXPECT_EQ(queue.next(every_call), epoch + 6s);
  EXPECT_THAT(expired(queue, epoch + 10s), ElementsAre(2U));
  EXPECT_FALSE(queue.next(every_call));
}

TEST(DeadlineQueue, ExpiresTheEarliestFirstAndEqualOnesInTheOrderOfTheCalls) {
  deadline_queue queue;
  queue.add(1, epoch + 10s);
  queue.add(4, epoch + 1s);
  queue.add(3, epoch + 5s);
  queue.add(2, epoch + 1s);
  EXPECT_EQ(queue.next(every_call), epoch + 1s);
  EXPECT_THAT(expired(queue, epoch + 5s), ElementsAre(2U, 4U, 3U));
  EXPECT_EQ(queue.next(every_call), epoch + 10s);
}

TEST(DeadlineQueue, FindsTheNextDeadlineOfAnOpenCall) {
  deadline_queue queue;
  for (call_id call = 1; call <= 3; ++call)
    queue.add(call, epoch + call * 1s);
  EXPECT_EQ(queue.next([](call_id x) { return x == 2; }), epoch + 2s);
}

TEST(DeadlineQueue, DoesNotGrowWithAnsweredCallsBehindAnOpenOne) {
  deadline_queue queue;
  queue.add(0, epoch + 1h); // stays open in front of the others
  const auto open = [](call_id x) { return x == 0; };
  for (call_id call = 1; call <= 100'000; ++call) {
    queue.add(call, epoch + 1h);
    queue.forget_answered(1, open);
  }
  EXPECT_LT(queue.size(), 2'000U);
}

TEST(DeadlineQueue, KeepsEveryDeadlineOfAnOpenCallWhenItForgetsOthers) {
  deadline_queue queue;
  std::vector<call_id> expected;
  for (call_id call = 0; call < 10'000; ++call) {
    queue.add(call, epoch + std::chrono::milliseconds{(call * 7919) % 10'007});
    if (call % 10 == 0)
      expected.push_back(call);
  }
  queue.forget_answered(1'000, [](call_id x) { return x % 10 == 0; });
  auto due = expired(queue, epoch + 1h);
  std::sort(due.begin(), due.end());
  EXPECT_EQ(due, expected);
}

// -- tick schedule ------------------------------------------------------------

TEST(TickSchedule, SendsTheFirstTickForTheVeryDeadline) {
  tick_schedule ticks;
  EXPECT_EQ(ticks.arm(epoch, epoch + 5s), epoch + 5s);
}

TEST(TickSchedule, SendsNoTickWhileOneIsOnItsWayThatComesInTime) {
  tick_schedule ticks;
  ticks.arm(epoch, epoch + 1s);
  EXPECT_FALSE(ticks.arm(epoch, epoch + 5s));
  EXPECT_FALSE(ticks.arm(epoch, epoch + 1s));
}

TEST(TickSchedule, SendsALaterTickOnlyOnceHoweverManyEarlierOnesComeMeanwhile) {
  tick_schedule ticks;
  ticks.arm(epoch, epoch + 5s);
  std::size_t sent = 0;
  for (auto now = epoch; now < epoch + 4s; now += 5ms) {
    if (const auto tick = ticks.arm(now, now + 500us)) {
      ++sent;
      ticks.ticked(*tick);
    }
    EXPECT_FALSE(ticks.arm(now + 1ms, epoch + 5s)) << "that tick is on its way";
  }
  EXPECT_EQ(sent, 800U);
  EXPECT_EQ(ticks.on_their_way(), 1U);
}

TEST(TickSchedule, HasFewTicksOnTheirWayForEverEarlierDeadlines) {
  tick_schedule ticks;
  for (auto deadline = epoch + 100s; deadline > epoch + 2ms; deadline -= 1ms)
    ticks.arm(epoch, deadline);
  EXPECT_LT(ticks.on_their_way(), 100U);
}

TEST(TickSchedule, NeverSendsATickAfterTheDeadline) {
  tick_schedule ticks;
  for (auto distance = 100s + 7us; distance > 1us; distance = distance * 9 / 10) {
    const auto deadline = epoch + distance;
    if (const auto tick = ticks.arm(epoch, deadline)) {
      EXPECT_LE(*tick, deadline);
    }
  }
}

TEST(TickSchedule, ForgetsATickThatHasArrivedEvenBeforeItsTime) {
  tick_schedule ticks;
  const auto tick = ticks.arm(epoch, epoch + 5s).value();
  ticks.ticked(tick);
  EXPECT_EQ(ticks.arm(epoch + 4s, epoch + 5s), epoch + 5s);
}

// -- pending call -------------------------------------------------------------

struct recording_sink final : answer_sink {
  void answered(answer&& x) noexcept override { answers.push_back(std::move(x)); }
  std::vector<answer> answers;
};

pending_call_ptr make_call(const std::shared_ptr<recording_sink>& sink) {
  return std::make_shared<pending_call>("foo", "p", bytes{}, sink);
}

TEST(PendingCall, EndsWithTheFirstFinishOnly) {
  auto sink = std::make_shared<recording_sink>();
  auto call = make_call(sink);
  call->finish(bytes{std::byte{1}});
  call->finish(bytes{std::byte{2}});
  call->fail(errc::timed_out, "late");
  call.reset();
  ASSERT_EQ(sink->answers.size(), 1U);
  EXPECT_EQ(std::get<bytes>(sink->answers[0]), bytes{std::byte{1}});
}

TEST(PendingCall, EndsWithChannelClosedWhenDropped) {
  auto sink = std::make_shared<recording_sink>();
  make_call(sink).reset();
  ASSERT_EQ(sink->answers.size(), 1U);
  const auto& what = std::get<failure>(sink->answers[0]);
  EXPECT_EQ(what.code, errc::channel_closed);
  EXPECT_EQ(what.slot, "foo");
  EXPECT_EQ(what.param, "p");
}

TEST(PendingCall, GivesItsSlotAndParameterToAFailureWithoutThem) {
  auto sink = std::make_shared<recording_sink>();
  failure what;
  what.code = errc::node_died;
  make_call(sink)->finish(what);
  EXPECT_EQ(std::get<failure>(sink->answers.at(0)).slot, "foo");
  what.slot = "other";
  make_call(sink)->finish(what);
  EXPECT_EQ(std::get<failure>(sink->answers.at(1)).slot, "other");
}

// -- hello --------------------------------------------------------------------

hello speaker(std::vector<slot_declaration> slots) {
  return {protocol_version, binary_codec, std::move(slots)};
}

TEST(CompareHellos, AcceptsEqualDeclarations) {
  const auto one = speaker({{"foo", "i32 -> i32"}});
  EXPECT_FALSE(compare_hellos(one, one));
}

TEST(CompareHellos, AcceptsSlotsThatOnlyOneSideDeclares) {
  EXPECT_FALSE(compare_hellos(speaker({{"foo", "a"}, {"bar", "b"}}), speaker({{"foo", "a"}, {"baz", "c"}})));
}

TEST(CompareHellos, AcceptsASideThatDeclaresNothing) {
  EXPECT_FALSE(compare_hellos(speaker({}), speaker({{"foo", "a"}})));
  EXPECT_FALSE(compare_hellos(speaker({{"foo", "a"}}), speaker({})));
}

TEST(CompareHellos, AcceptsAnUnknownSignature) {
  EXPECT_FALSE(compare_hellos(speaker({{"foo", ""}}), speaker({{"foo", "a"}})));
}

TEST(CompareHellos, RefusesDifferentTypesAndNamesBoth) {
  const auto err = compare_hellos(speaker({{"foo", "i32 -> i32"}}), speaker({{"foo", "string -> i32"}}));
  EXPECT_EQ(code_of(err), errc::protocol_mismatch);
  EXPECT_THAT(describe(err), HasSubstr("foo"));
  EXPECT_THAT(describe(err), HasSubstr("i32 -> i32"));
  EXPECT_THAT(describe(err), HasSubstr("string -> i32"));
}

TEST(CompareHellos, RefusesAnotherVersionAndNamesBoth) {
  auto child = speaker({});
  child.version = 7;
  const auto err = compare_hellos(speaker({}), child);
  EXPECT_EQ(code_of(err), errc::protocol_mismatch);
  EXPECT_THAT(describe(err), HasSubstr("protocol version " + std::to_string(protocol_version)));
  EXPECT_THAT(describe(err), HasSubstr("protocol version 7"));
}

TEST(CompareHellos, RefusesAnotherCodecAndNamesBoth) {
  auto child = speaker({});
  child.codec = "json";
  const auto err = compare_hellos(speaker({}), child);
  EXPECT_EQ(code_of(err), errc::protocol_mismatch);
  EXPECT_THAT(describe(err), HasSubstr("codec binary"));
  EXPECT_THAT(describe(err), HasSubstr("codec json"));
}

TEST(CompareHellos, RefusesDeclarationsWithNothingInCommon) {
  const auto err = compare_hellos(speaker({{"foo", "a"}}), speaker({{"bar", "a"}}));
  EXPECT_EQ(code_of(err), errc::protocol_mismatch);
  EXPECT_THAT(describe(err), HasSubstr("foo"));
  EXPECT_THAT(describe(err), HasSubstr("bar"));
}

// -- options ------------------------------------------------------------------

pool_options good_options() {
  pool_options result;
  result.executable = "./child";
  return result;
}

TEST(PoolOptions, DefaultsAreValidAndFillInTheNumberOfCpus) {
  EXPECT_FALSE(validate(good_options()));
  EXPECT_GE(with_defaults(good_options()).nodes, 1U);
}

struct bad_option {
  const char* name;
  void (*spoil)(pool_options&);
};

void PrintTo(const bad_option& x, std::ostream* out) {
  *out << x.name;
}

class PoolOptionsTest : public ::testing::TestWithParam<bad_option> {};

TEST_P(PoolOptionsTest, RefusesABadValueAndNamesTheOption) {
  auto options = good_options();
  GetParam().spoil(options);
  const auto err = validate(options);
  EXPECT_EQ(code_of(err), errc::invalid_options);
  EXPECT_THAT(describe(err), HasSubstr(GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(
    All, PoolOptionsTest,
    ::testing::Values(bad_option{"executable", [](pool_options& x) { x.executable.clear(); }},
                      bad_option{"working_directory",
                                 [](pool_options& x) { x.working_directory = "/no/such/directory"; }},
                      bad_option{"nodes", [](pool_options& x) { x.nodes = 1'000'001; }},
                      bad_option{"min_nodes", [](pool_options& x) { x.nodes = 2, x.min_nodes = 3; }},
                      bad_option{"calls_per_node", [](pool_options& x) { x.calls_per_node = 0; }},
                      bad_option{"launches_max", [](pool_options& x) { x.launches_max = 1'000'001; }},
                      bad_option{"buffer_calls_max", [](pool_options& x) { x.buffer_calls_max = 0; }},
                      bad_option{"buffer_bytes_max", [](pool_options& x) { x.buffer_bytes_max = 0; }},
                      bad_option{"frame_bytes_max", [](pool_options& x) { x.frame_bytes_max = 10; }},
                      bad_option{"frame_bytes_max", [](pool_options& x) { x.frame_bytes_max = std::size_t{1} << 33; }},
                      bad_option{"timeout", [](pool_options& x) { x.timeout = caf::timespan::zero(); }},
                      bad_option{"wait_timeout", [](pool_options& x) { x.wait_timeout = caf::timespan::zero(); }},
                      bad_option{"run_timeout", [](pool_options& x) { x.run_timeout = -caf::timespan{1}; }},
                      bad_option{"child_calls_max", [](pool_options& x) { x.child_calls_max = 0; }},
                      bad_option{"start_timeout", [](pool_options& x) { x.start_timeout = 0ms; }},
                      bad_option{"failures_max", [](pool_options& x) { x.backoff.failures_max = 0; }},
                      bad_option{"backoff", [](pool_options& x) { x.backoff.longest = 1ms; }},
                      bad_option{"drain_timeout", [](pool_options& x) { x.drain_timeout = -1ms; }},
                      bad_option{"exit_grace", [](pool_options& x) { x.exit_grace = -1ms; }},
                      bad_option{"term_grace", [](pool_options& x) { x.term_grace = -1ms; }},
                      bad_option{"kill_grace", [](pool_options& x) { x.kill_grace = -1ms; }},
                      bad_option{"answer_hold_max", [](pool_options& x) { x.answer_hold_max = -1ms; }},
                      bad_option{"disconnect_grace", [](pool_options& x) { x.disconnect_grace = -1ms; }}));

} // namespace

} // namespace cluster_channel
