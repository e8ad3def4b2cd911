// One bus, used by many threads and actors at once: whatever happens, every call ends, and ends once.
//
// Real threads and a real actor system; meant to be run under ThreadSanitizer too.

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>

#include "parity.hpp"
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace cluster_channel::parity {

namespace {

constexpr auto patience = 60s;
constexpr int calls_per_thread = 400;

/// Counts calls that were made and ended.
class tally {
public:
  template <class T>
  void watch(call<T>&& x) {
    ++made_;
    auto ends = std::make_shared<std::atomic<int>>(0);
    x.on_result([this, ends](const caf::expected<T>& result) {
      if (ends->fetch_add(1) != 0)
        ++doubled_;
      const std::lock_guard guard{mutex_};
      ++(result ? answered_ : failed_);
      changed_.notify_all();
    });
  }

  /// Waits until all calls have ended. @returns whether they did, each once.
  bool all_end() {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, patience, [this] { return answered_ + failed_ >= made_; }) && doubled_ == 0 &&
           answered_ + failed_ == made_;
  }

  int answered() const {
    const std::lock_guard guard{mutex_};
    return answered_;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<int> made_{0};
  std::atomic<int> doubled_{0};
  int answered_ = 0;
  int failed_ = 0;
};

/// Runs `f(i)` on `count` threads at once, to their end.
template <class F>
void on_threads(int count, F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&f, i] { f(i); });
  for (auto& each : threads)
    each.join();
}

/// Two buses in a real actor system. `count` outlives them: calls that still wait end with the bus.
struct busy_ends {
  explicit busy_ends(local_channel_options how = {}) : link{system, how} {}

  tally count;
  caf::actor_system_config config;
  caf::actor_system system{config};
  local_channel_pair link;
  bus_type here{link.first()};
  bus_type there{link.second()};
};

TEST(ParityThreads, CallOneSlotInBothDirections) {
  busy_ends x;
  for (const auto* bus : {&x.here, &x.there})
    bus->note.on([](const std::string&) {});
  on_threads(4, [&](int i) {
    for (int n = 0; n < calls_per_thread; ++n)
      x.count.watch((i % 2 == 0 ? x.here : x.there).note("x"));
  });
  EXPECT_TRUE(x.count.all_end());
  EXPECT_EQ(x.count.answered(), 4 * calls_per_thread);
}

TEST(ParityThreads, AnEventStreamOfOneThreadKeepsItsOrderWhileTheHandlerComes) {
  for (int round = 0; round < 20; ++round) {
    busy_ends x;
    std::mutex mutex;
    std::vector<int> seen;
    std::thread sender{[&] {
      for (int n = 0; n < calls_per_thread; ++n)
        x.count.watch(x.here.note(std::to_string(n)));
    }};
    x.there.note.on([&](const std::string& text) {
      const std::lock_guard guard{mutex};
      seen.push_back(std::stoi(text));
    });
    sender.join();
    ASSERT_TRUE(x.count.all_end());
    const std::lock_guard guard{mutex};
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(calls_per_thread));
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  }
}

TEST(ParityThreads, HandlersComeAndGoUnderCalls) {
  busy_ends x;
  on_threads(4, [&](int i) {
    for (int n = 0; n < calls_per_thread; ++n) {
      if (i % 2 == 0) {
        x.count.watch(x.here.now(n));
      } else {
        const auto gone = x.there.now.on([](int y) { return y; });
        gone();
      }
    }
  });
  EXPECT_TRUE(x.count.all_end());
  const auto last = x.there.now.on([](int y) { return y; });
  EXPECT_EQ(in_words(x.here.twice.broadcast(1).get(patience)), "[]");
  x.there.twice.on([](int y) { return 2 * y; });
  EXPECT_EQ(in_words(x.here.twice(2).get(patience)), "4") << "the bus works on afterwards";
}

TEST(ParityThreads, LazyIsToldInAlternation) {
  busy_ends x;
  std::atomic<int> level{0};
  std::atomic<int> wrong{0};
  const auto cancel = x.here.twice.lazy([&](const std::string&) { wrong += ++level == 1 ? 0 : 1; },
                                        [&](const std::string&) { wrong += --level == 0 ? 0 : 1; });
  on_threads(4, [&](int i) {
    for (int n = 0; n < calls_per_thread; ++n) {
      (i % 2 == 0 ? x.here : x.there).twice.on([](int y) { return y; })();
      if (i == 0)
        x.here.twice.lazy([](const std::string&) {}, [](const std::string&) {})();
    }
  });
  // What the far end said last has arrived when this call is answered.
  x.there.now.on([](int y) { return y; });
  while (in_words(x.here.now(1).get(patience)) != "1") {
  }
  cancel();
  EXPECT_EQ(level, 0);
  EXPECT_EQ(wrong, 0);
}

TEST(ParityThreads, ConnectionsBreakUnderCallsAndRegistrations) {
  busy_ends x{{.reconnects = true}};
  for (const auto* bus : {&x.here, &x.there})
    bus->note.on([](const std::string&) {});
  std::atomic<bool> done{false};
  std::thread breaker{[&] {
    while (!done) {
      x.link.disconnect();
      std::this_thread::yield();
      x.link.connect();
      static_cast<void>(x.here.note("through").get(patience)); // lets the connection do some work
      x.link.fail(make_error(errc::protocol_error, "noise"));
    }
  }};
  on_threads(4, [&](int i) {
    const auto& bus = i % 2 == 0 ? x.here : x.there;
    for (int n = 0; n < calls_per_thread; ++n) {
      x.count.watch(bus.note("x"));
      x.count.watch(bus.shout("x"));
      bus.echo.on([](const std::string& text) { return text; })();
    }
  });
  done = true;
  breaker.join();
  EXPECT_TRUE(x.count.all_end());
  std::string last;
  for (int i = 0; i < 1000 && last != "done"; ++i) // what broke before may still be on its way to fail one
    last = in_words(x.here.note("last").get(patience));
  EXPECT_EQ(last, "done");
}

TEST(ParityThreads, TimeoutsAndAnswersRace) {
  busy_ends x;
  x.there.twice.on([](int y) { return y; });
  x.here.now.on([](int y) { return y; });
  on_threads(3, [&](int) {
    for (int n = 0; n < calls_per_thread; ++n) {
      x.count.watch(x.here.twice(n, {.timeout = 200us}));
      x.count.watch(x.here.quick(n, {.timeout = 1ms, .wait_timeout = 200us})); // has no handler
      x.count.watch(x.here.now(n, {.timeout = 100us}));
    }
  });
  EXPECT_TRUE(x.count.all_end());
}

TEST(ParityThreads, ABusAndItsPairMayGoInAnyOrderUnderCalls) {
  for (int round = 0; round < 30; ++round) {
    tally count;
    caf::actor_system_config config;
    caf::actor_system system{config};
    auto link = std::make_unique<local_channel_pair>(system);
    auto here = std::make_unique<bus_type>(link->first());
    auto there = std::make_unique<bus_type>(link->second());
    there->note.on([](const std::string&) {});
    const auto note = here->note; // a copy may outlive its bus
    std::thread caller{[&] {
      for (int n = 0; n < calls_per_thread; ++n)
        count.watch(note("x"));
    }};
    switch (round % 3) {
    case 0:
      link.reset();
      here.reset();
      break;
    case 1:
      here.reset();
      link.reset();
      break;
    default:
      there.reset();
      link.reset();
      here.reset();
      break;
    }
    caller.join();
    here.reset();
    ASSERT_TRUE(count.all_end()) << "round " << round;
  }
}

TEST(ParityThreads, ActorsAndThreadsShareABus) {
  busy_ends x;
  x.there.twice.on([](int y) { return 2 * y; });
  std::atomic<int> right{0};
  std::atomic<int> wrong{0};
  std::vector<caf::actor> actors;
  for (int i = 0; i < 4; ++i)
    actors.push_back(x.system.spawn([&](caf::event_based_actor* self) {
      for (int n = 0; n < 100; ++n)
        x.here.twice(n).then(
            self, [&, n](int& y) { ++(y == 2 * n ? right : wrong); }, [&](caf::error&) { ++wrong; });
    }));
  on_threads(2, [&](int) {
    for (int n = 0; n < 100; ++n)
      ++(in_words(x.here.twice(n).get(patience)) == std::to_string(2 * n) ? right : wrong);
  });
  for (const auto& each : actors) {
    caf::scoped_actor self{x.system};
    self->wait_for(each);
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(right, 600);
}

TEST(ParityThreads, ABusWithTwoChannelsIsUsedWhileOneOfThemChurns) {
  tally count;
  caf::actor_system_config config;
  caf::actor_system system{config};
  local_channel_pair steady{system};
  local_channel_pair shaky{system, {.reconnects = true}};
  const bus_type here{{.channels = {&steady.first(), &shaky.first()}}};
  const bus_type one{steady.second()};
  const bus_type two{shaky.second()};
  for (const auto* bus : {&one, &two})
    bus->note.on([](const std::string&) {});
  std::atomic<bool> done{false};
  std::thread breaker{[&] {
    while (!done) {
      shaky.disconnect();
      std::this_thread::yield();
      shaky.connect();
      std::this_thread::yield();
    }
  }};
  on_threads(3, [&](int) {
    for (int n = 0; n < calls_per_thread; ++n)
      count.watch(here.note("x"));
  });
  done = true;
  breaker.join();
  EXPECT_TRUE(count.all_end());
}

} // namespace

} // namespace cluster_channel::parity
