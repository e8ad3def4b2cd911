#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/channels/timers.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <memory>
#include <vector>

namespace cluster_channel {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

enum class kind { thread, actor };

/// What timers.hpp promises of every timer service.
class timer_service_test : public testing::TestWithParam<kind> {
protected:
  std::shared_ptr<timer_service> make() {
    return GetParam() == kind::thread ? make_timer_thread() : make_actor_timers(system_);
  }

  static void expect_set(std::promise<void>& done) {
    EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  }

private:
  actor_system_config config_;
  caf::actor_system system_{config_};
};

TEST_P(timer_service_test, RunsWhatIsDueInOrder) {
  const auto timers = make();
  std::vector<int> order;
  std::promise<void> done;
  timers->schedule(30ms, [&] {
    order.push_back(3);
    done.set_value();
  });
  timers->schedule(10ms, [&] { order.push_back(1); });
  timers->schedule(20ms, [&] { order.push_back(2); });
  expect_set(done);
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST_P(timer_service_test, NeverRunsFromWithinSchedule) {
  const auto timers = make();
  std::promise<void> returned, done;
  timers->schedule(-1s, [&, after = returned.get_future().share()] {
    EXPECT_EQ(after.wait_for(10s), std::future_status::ready);
    done.set_value();
  });
  returned.set_value();
  expect_set(done);
}

TEST_P(timer_service_test, DropsWhatIsCancelled) {
  const auto timers = make();
  auto held = std::make_shared<int>();
  bool ran = false;
  const auto id = timers->schedule(20ms, [&ran, held] { ran = true; });
  std::promise<void> done;
  timers->schedule(40ms, [&] { done.set_value(); });
  timers->cancel(id);
  EXPECT_EQ(held.use_count(), 1);
  timers->cancel(id); // no effect
  expect_set(done);
  EXPECT_FALSE(ran);
}

TEST_P(timer_service_test, DropsWhatHasNotRunWhenItGoes) {
  auto held = std::make_shared<int>();
  auto timers = make();
  timers->schedule(1h, [held] {});
  timers = nullptr;
  EXPECT_EQ(held.use_count(), 1);
}

TEST_P(timer_service_test, NoTimeoutNeverComes) {
  const auto timers = make();
  bool ran = false;
  timers->schedule(caf::timespan::max(), [&] { ran = true; });
  std::promise<void> done;
  timers->schedule(10ms, [&] { done.set_value(); });
  expect_set(done);
  EXPECT_FALSE(ran);
}

TEST_P(timer_service_test, AFunctionMayScheduleCancelAndReleaseTheService) {
  std::promise<void> done, released;
  auto timers = make();
  const auto other = timers->schedule(1h, [] {});
  auto let_go = std::make_shared<std::shared_ptr<timer_service>>(timers);
  timers->schedule(1ms, [&, let_go, after = released.get_future().share()] {
    (*let_go)->cancel(other);
    EXPECT_NE((*let_go)->schedule(1h, [] {}), 0u);
    after.wait();
    *let_go = nullptr; // the last reference
    done.set_value();
  });
  timers = nullptr;
  released.set_value();
  expect_set(done);
}

/// A system in virtual time, and how many messages its clock holds.
class virtual_time_test : public testing::Test {
protected:
  struct config : caf::actor_system_config {
    config() { set("scheduler.policy", caf::atom("testing")); }
  };

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  }

  std::size_t messages_in_clock() { return coordinator().clock().schedule().size(); }

  void advance(std::chrono::milliseconds time) {
    coordinator().advance_time(time);
    coordinator().run();
  }

  config config_;
  caf::actor_system system_{config_};
  std::shared_ptr<timer_service> timers_ = make_actor_timers(system_);
};

TEST_F(virtual_time_test, CancelledTimersLeaveNothingInTheClock) {
  for (int i = 0; i < 100; ++i)
    timers_->cancel(timers_->schedule(1h, [] {}));
  EXPECT_EQ(messages_in_clock(), 1U);
}

TEST_F(virtual_time_test, ShortTimersBesideALongOneDoNotFillTheClock) {
  bool late = false;
  int ran = 0;
  timers_->schedule(1h, [&] { late = true; });
  for (int i = 0; i < 100; ++i) {
    timers_->schedule(10ms, [&] { ++ran; });
    timers_->schedule(20ms, [&] { ++ran; });
    advance(10ms);
    EXPECT_LE(messages_in_clock(), 3U);
  }
  advance(20ms);
  EXPECT_EQ(ran, 200);
  EXPECT_FALSE(late);
  advance(1h);
  EXPECT_TRUE(late);
  EXPECT_EQ(messages_in_clock(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Both, timer_service_test, testing::Values(kind::thread, kind::actor),
                         [](const auto& x) { return x.param == kind::thread ? "Thread" : "Actor"; });

} // namespace
} // namespace cluster_channel
