// The longest times that options can hold mean "practically for ever", and overflow nowhere.

#include <cluster_channel/actors/detail/saturating.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../channels/test_events.hpp"
#include <chrono>
#include <csignal>
#include <optional>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using test_pool = test::pool<test_events>;

constexpr auto longest = std::chrono::milliseconds::max();

/// A pool whose child takes a second for a call, and an hour for its start.
struct slow_pool : test_pool {
  explicit slow_pool(pool_options options) : test_pool{std::move(options)} {
    script_all({.hello_after = 1h, .answers_after = 1s, .ends_at_end_of_file = false, .ends_at_sigterm = false});
    child().echo.on([](const std::string& text) { return text; });
    bus().echo("x").on_result([this](const caf::expected<std::string>& result) { answered = bool{result}; });
  }

  std::optional<bool> answered; // its one call, which starts at once; false: failed
};

TEST(LongTimes, AreCutToWhatAClockCanCount) {
  EXPECT_EQ(detail::as_delay(longest), detail::delay_max);
  EXPECT_EQ(detail::as_delay(std::chrono::hours::max()), detail::delay_max);
  EXPECT_EQ(detail::as_delay(caf::timespan::max()), detail::delay_max);
  EXPECT_EQ(detail::as_delay(std::chrono::milliseconds::min()), caf::timespan::zero());
  EXPECT_EQ(detail::as_delay(1500us), caf::timespan{1'500'000});
  const auto start = std::chrono::steady_clock::time_point{} + 1h;
  constexpr auto end = std::chrono::steady_clock::time_point::max();
  EXPECT_EQ(detail::after(start, caf::timespan::max()), end);
  EXPECT_EQ(detail::after(start, caf::timespan::max() - 1ns), end);
  EXPECT_EQ(detail::after(start, 5s), start + 5s);
}

TEST(LongTimes, OfACallDoNotRunOutAtOnce) {
  constexpr auto almost_none = no_timeout - 1ns;
  slow_pool pool{{.timeout = almost_none, .wait_timeout = almost_none, .run_timeout = almost_none}};
  pool.advance(2h);
  EXPECT_EQ(pool.answered, true);
}

TEST(LongTimes, OfADrainLetCallsFinish) {
  slow_pool pool{{.timeout = no_timeout, .exit_grace = longest, .term_grace = longest}};
  pool.advance(1h);
  caf::anon_send(pool.supervisor(), close_pool{longest});
  pool.run();
  EXPECT_EQ(pool.answered, std::nullopt);
  pool.advance(2s);
  EXPECT_EQ(pool.answered, true);
  EXPECT_THAT(pool.signals(), IsEmpty()) << "exit_grace has not passed";
}

TEST(LongTimes, OfTheGracesArePassedOneAfterTheOther) {
  slow_pool pool{{.exit_grace = 1s, .term_grace = longest}};
  pool.advance(1h);
  caf::anon_send(pool.supervisor(), close_pool{0ms});
  pool.advance(24h);
  EXPECT_THAT(pool.signals(), ElementsAre(Pair(1U, SIGTERM)));
}

TEST(LongTimes, OfAPauseDoNotOverflow) {
  restart_policy policy{{.initial = longest / 3, .longest = longest, .failures_max = 5}};
  EXPECT_EQ(policy.start_failed(false), restart_decision{restart_after{longest / 3}});
  EXPECT_EQ(policy.start_failed(false), restart_decision{restart_after{longest / 3 * 2}});
  EXPECT_EQ(policy.start_failed(false), restart_decision{restart_after{longest}});
  EXPECT_EQ(policy.start_failed(false), restart_decision{restart_after{longest}});
}

TEST(LongTimes, OfAPauseAreWaitedFor) {
  slow_pool pool{{.timeout = no_timeout, .backoff = {.initial = longest, .longest = longest, .failures_max = 5}}};
  test::node_script fails;
  fails.launch_error = make_error(errc::launch_failed, "nothing left");
  fails.launch_error_is_permanent = false;
  pool.script_all(fails);
  pool.advance(24h);
  EXPECT_EQ(pool.launches(), 1U);
  EXPECT_EQ(pool.answered, std::nullopt);
}

} // namespace

} // namespace cluster_channel
