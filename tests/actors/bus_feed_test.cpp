#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/bus_feed.hpp>
#include <cluster_channel/actors/router.hpp>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <gmock/gmock.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cluster_channel {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A bus that takes in what it is told when `take_in` says so.
class BusFeed : public ::testing::Test {
protected:
  void change(const std::string& param, bool registered) { feed.changed({"slot", param}, registered); }

  /// What was sent since the last time, and is handled now.
  std::vector<message> take_in() {
    std::vector<message> result;
    for (auto& each : std::exchange(sent, {}))
      result.push_back(each.what);
    if (std::exchange(has_room, false))
      feed.send_more();
    return result;
  }

  static message added(const std::string& param) { return handler_registered{"slot", param}; }
  static message removed(const std::string& param) { return handler_unregistered{"slot", param}; }

  std::vector<pool_announcement> sent;
  bool has_room = false;
  bus_feed feed{[this](pool_announcement&& x) { sent.push_back(std::move(x)); },
                [this] { has_room = true; },
                {.messages = 2, .bytes = 1000}};
};

TEST_F(BusFeed, TellsAtOnceWhileThereIsRoom) {
  change("a", true);
  change("a", false);
  EXPECT_THAT(take_in(), ElementsAre(added("a"), removed("a")));
  EXPECT_EQ(feed.waiting(), 0U);
}

TEST_F(BusFeed, KeepsOfEachHandlerOnlyWhatTheBusDoesNotKnow) {
  change("a", true);
  change("b", true);
  for (int i = 0; i < 1000; ++i) {
    change("a", false);
    change("a", true);
    change("c", true);
    change("c", false);
  }
  EXPECT_EQ(feed.waiting(), 0U) << "all is as the bus was told";
  change("b", false);
  change("c", true);
  EXPECT_EQ(feed.waiting(), 2U);
  EXPECT_THAT(take_in(), ElementsAre(added("a"), added("b")));
  EXPECT_THAT(take_in(), ElementsAre(removed("b"), added("c")));
  EXPECT_THAT(take_in(), IsEmpty());
}

TEST_F(BusFeed, TellsInItsTurnWhatChangesWhileMoreWaits) {
  change("a", true);
  change("b", true);
  change("c", true);
  sent.erase(sent.begin()); // room for one, and c waits for it
  feed.send_more();
  change("d", true);
  EXPECT_EQ(feed.waiting(), 1U);
  EXPECT_THAT(take_in(), ElementsAre(added("b"), added("c")));
  EXPECT_THAT(take_in(), ElementsAre(added("d")));
}

TEST_F(BusFeed, CountsTheBytesOfNames) {
  change(std::string(600, 'x'), true);
  change(std::string(600, 'y'), true);
  change("a", true);
  EXPECT_EQ(sent.size(), 2U);
  EXPECT_EQ(feed.waiting(), 1U);
}

TEST_F(BusFeed, JoinsListsOfWhatIsIgnored) {
  change("a", true);
  change("b", true);
  for (int i = 0; i < 1000; ++i)
    feed.ignored({{"x", i % 2 == 0 ? "y" : "z"}});
  EXPECT_EQ(feed.waiting(), 3U);
  take_in();
  EXPECT_THAT(take_in(), ElementsAre(message{event_list{{"x", "y", "z"}}}));
}

/// Keeps all that it is given until it is asked for it.
class keeping_courier final : public bus_courier {
public:
  void take(child_call&& call) override { keep(calls_, std::move(call)); }
  void take(pool_announcement&& what) override { keep(announcements_, std::move(what)); }
  bool follow(node_id, const std::vector<call_id>&, bool) override { return false; }

  std::vector<child_call> take_calls() { return take_all(calls_); }
  std::vector<pool_announcement> take_announcements() { return take_all(announcements_); }

private:
  template <class T>
  void keep(std::vector<T>& where, T&& x) {
    std::lock_guard guard{mutex_};
    where.push_back(std::move(x));
  }
  template <class T>
  std::vector<T> take_all(std::vector<T>& from) {
    std::lock_guard guard{mutex_};
    return std::exchange(from, {});
  }

  std::mutex mutex_;
  std::vector<child_call> calls_;
  std::vector<pool_announcement> announcements_;
};

/// A router whose bus has a handler that does not return.
class BusyBus : public ::testing::Test {
protected:
  BusyBus() { caf::anon_send(router, attach_bus{bus}); }

  ~BusyBus() override {
    caf::anon_send_exit(router, caf::exit_reason::kill);
    self->wait_for(router);
  }

  static pool_options options() {
    pool_options result;
    result.nodes = 1;
    result.buffer_calls_max = 100;
    return result;
  }

  /// Until the router has handled all that was sent to it.
  void settle() {
    self->request(router, caf::infinite, get_pool_stats{}).receive([](pool_stats) {}, [](caf::error&) {});
  }

  actor_system_config config;
  caf::actor_system system{config};
  caf::actor router = spawn_scheduled_router(system, options());
  caf::scoped_actor self{system};
  std::shared_ptr<keeping_courier> bus = std::make_shared<keeping_courier>();
};

TEST_F(BusyBus, IsToldABoundedNumberOfTimesHoweverOftenHandlersChange) {
  for (int i = 0; i < 2000; ++i) {
    const auto param = std::to_string(i % 10);
    caf::anon_send(router, node_announcement{1, handler_registered{"echo", param}});
    caf::anon_send(router, node_announcement{1, handler_unregistered{"echo", param}});
  }
  caf::anon_send(router, node_announcement{1, handler_registered{"echo", "last"}});
  settle();
  const auto told = bus->take_announcements().size();
  EXPECT_GE(told, 1000U);
  EXPECT_LE(told, 1100U);
  settle(); // there is room now
  const auto last = bus->take_announcements();
  ASSERT_EQ(last.size(), 1U) << "all others are as the bus was told";
  EXPECT_EQ(last[0].what, message{(handler_registered{"echo", "last"})});
}

TEST_F(BusyBus, IsCalledNoMoreThanTheBufferHolds) {
  for (call_id id = 1; id <= 1000; ++id) // of nodes that follow each other, each with few
    caf::anon_send(router, child_call{id, {1, "log", default_param, {}}});
  settle();
  EXPECT_EQ(bus->take_calls().size(), 100U);
  caf::anon_send(router, child_call{1, {2, "log", default_param, {}}});
  settle();
  EXPECT_EQ(bus->take_calls().size(), 1U) << "there is room again";
}

} // namespace

} // namespace cluster_channel
