// The way from the callers' threads to a router, and what happens to it when the router ends.

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/router.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using outcome = router_inbox::outcome;

/// Counts itself, so that a test sees when it is dropped.
struct numbered final : inbox_item {
  explicit numbered(int its_number, int* drops = nullptr)
      : inbox_item{kind::other}, number{its_number}, dropped{drops} {}
  ~numbered() override {
    if (dropped)
      ++*dropped;
  }
  const int number;
  int* const dropped;
};

outcome push(router_inbox& inbox, int number, std::size_t bytes = 0, int* drops = nullptr) {
  auto item = std::make_shared<numbered>(number, drops);
  return inbox.push(item, bytes, true);
}

std::vector<int> numbers(inbox_batch batch) {
  std::vector<int> result;
  while (auto item = batch.next())
    result.push_back(static_cast<numbered&>(*item).number);
  return result;
}

TEST(RouterInbox, GivesWhatWasPushedOldestFirstAndOnce) {
  router_inbox inbox;
  for (int i = 1; i <= 3; ++i)
    push(inbox, i);
  EXPECT_THAT(numbers(inbox.take()), ElementsAre(1, 2, 3));
  EXPECT_THAT(numbers(inbox.take()), IsEmpty());
}

TEST(RouterInbox, WakesTheRouterForTheFirstOfABurstOnly) {
  router_inbox inbox;
  EXPECT_EQ(push(inbox, 1), outcome::wake);
  EXPECT_EQ(push(inbox, 2), outcome::pushed);
  inbox.take();
  EXPECT_EQ(push(inbox, 3), outcome::wake);
}

TEST(RouterInbox, CountsWhatIsOnItsWayTogetherWithWhatWaits) {
  router_inbox inbox{{.calls_max = 3, .bytes_max = 100}};
  push(inbox, 1);
  inbox.waiting(2, 0);
  EXPECT_EQ(push(inbox, 2), outcome::full);
  inbox.waiting(1, 0);
  EXPECT_EQ(push(inbox, 2), outcome::pushed);
  inbox.take();
  EXPECT_EQ(push(inbox, 3), outcome::full) << "what was taken counts until it has arrived";
  inbox.arrived(2, 0);
  EXPECT_EQ(push(inbox, 3), outcome::wake);
}

TEST(RouterInbox, RefusesMoreBytesOnceItHasTooMany) {
  router_inbox inbox{{.calls_max = 100, .bytes_max = 100}};
  EXPECT_EQ(push(inbox, 1, 1000), outcome::wake) << "one that is too large for the buffer may find an idle node";
  EXPECT_EQ(push(inbox, 2, 1), outcome::full);
  inbox.take();
  inbox.arrived(1, 1000);
  inbox.waiting(1, 101);
  EXPECT_EQ(push(inbox, 3, 1), outcome::full);
}

TEST(RouterInbox, DropsWhatIsOnItsWayWhenItIsClosedAndTakesNoMore) {
  router_inbox inbox;
  int dropped = 0;
  push(inbox, 1, 0, &dropped);
  push(inbox, 2, 0, &dropped);
  inbox.close();
  EXPECT_EQ(dropped, 2);
  auto item = std::make_shared<numbered>(3);
  EXPECT_EQ(inbox.push(item, 0, true), outcome::closed);
  EXPECT_TRUE(item) << "the caller still has it, to end it";
  EXPECT_TRUE(inbox.closed());
}

TEST(RouterInbox, ABatchDropsWhatWasNotTakenOut) {
  int dropped = 0;
  {
    router_inbox inbox;
    push(inbox, 1, 0, &dropped);
    push(inbox, 2, 0, &dropped);
    auto batch = inbox.take();
    batch.next();
    EXPECT_EQ(batch.size(), 1U);
  }
  EXPECT_EQ(dropped, 2);
}

TEST(RouterInbox, LosesNothingOfManyThreads) {
  router_inbox inbox;
  constexpr int threads = 4;
  constexpr int each = 20'000;
  std::atomic<int> running{threads};
  std::vector<std::thread> pushers;
  for (int t = 0; t < threads; ++t)
    pushers.emplace_back([&, t] {
      for (int i = 0; i < each; ++i)
        push(inbox, t * each + i);
      --running;
    });
  std::vector<int> last(threads, -1);
  std::size_t taken = 0;
  bool in_order = true;
  for (bool more = true; more;) {
    more = running > 0;
    for (const auto number : numbers(inbox.take())) {
      auto& before = last[static_cast<std::size_t>(number / each)];
      in_order = in_order && number % each == before + 1;
      before = number % each;
      ++taken;
    }
  }
  for (auto& one : pushers)
    one.join();
  EXPECT_EQ(taken, static_cast<std::size_t>(threads * each));
  EXPECT_TRUE(in_order) << "of each thread";
}

// -- a router that has ended ----------------------------------------------------

struct answer_promise final : answer_sink {
  void answered(answer&& x) noexcept override { result.set_value(std::move(x)); }
  std::promise<answer> result;
};

class EndedRouter : public ::testing::Test {
public:
  EndedRouter() {
    router = spawn_router(system, {.executable = "none"}, inbox);
    std::promise<void> ended;
    router->attach_functor([&](const caf::error&) { ended.set_value(); });
    caf::anon_send_exit(router, caf::exit_reason::kill);
    ended.get_future().wait();
  }

  actor_system_config config;
  caf::actor_system system{config};
  std::shared_ptr<router_inbox> inbox = make_router_inbox({.executable = "none"});
  caf::actor router;
};

TEST_F(EndedRouter, AnswersARequestAsAnyOtherActorDoes) {
  std::promise<caf::error> result;
  system.spawn([&](caf::event_based_actor* self) {
    self->request(router, caf::infinite, get_pool_stats{})
        .then([&](const pool_stats&) { result.set_value({}); },
              [&](caf::error& err) { result.set_value(std::move(err)); });
  });
  auto future = result.get_future();
  ASSERT_EQ(future.wait_for(30s), std::future_status::ready);
  EXPECT_TRUE(future.get());
}

TEST_F(EndedRouter, EndsACallThatComesAsAMessage) {
  auto sink = std::make_shared<answer_promise>();
  auto future = sink->result.get_future();
  caf::anon_send(router, std::make_shared<pending_call>("foo", "p", bytes{}, sink));
  ASSERT_EQ(future.wait_for(30s), std::future_status::ready);
  EXPECT_EQ(std::get<failure>(future.get()).code, errc::channel_closed);
}

TEST_F(EndedRouter, ClosesItsInbox) {
  auto item = std::make_shared<numbered>(1);
  EXPECT_EQ(inbox->push(item, 0, true), outcome::closed);
}

} // namespace

} // namespace cluster_channel
