// More calls than a pool can run, over real processes: bounds, time limits, and that it goes on.

#include "echo_pool.hpp"
#include <atomic>
#include <latch>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;

struct texts {
  struct iterator {
    int at = 0;
    std::string operator*() const { return std::to_string(at); }
    iterator& operator++() {
      ++at;
      return *this;
    }
    friend bool operator==(const iterator& x, const iterator& y) { return x.at == y.at; }
  };
  iterator begin() const { return {0}; }
  iterator end() const { return {count}; }
  int count;
};

TEST(Overload, EveryCallOfABurstToABusyNodeEndsAtItsTimeout) {
  auto options = echo_options();
  options.nodes = 1;
  options.timeout = 300ms;
  echo_pool pool{options};
  ASSERT_TRUE(pool.bus.echo("launch", {.timeout = no_timeout}).get(deadline));
  auto busy = pool.bus.sleep_ms(60'000, {.timeout = no_timeout});
  constexpr int count = 20'000;
  std::latch ended{count};
  std::atomic<int> timed_out{0};
  for (int i = 0; i < count; ++i)
    pool.bus.echo("x").on_result([&](const caf::expected<std::string>& x) {
      timed_out += !x && code_of(x.error()) == errc::timed_out ? 1 : 0;
      ended.count_down();
    });
  EXPECT_TRUE(eventually([&] { return ended.try_wait(); })) << "calls were lost";
  EXPECT_EQ(timed_out, count);
  EXPECT_EQ(pool.channel.stats().waiting_calls, 0U);
  pool.channel.close(0ms); // the node sleeps on
  ended.wait();
}

TEST(Overload, AFloodIsRefusedAtOnceAndThePoolAnswersMeanwhileAndAfterwards) {
  auto options = echo_options();
  options.nodes = 1;
  options.buffer_calls_max = 1'000;
  echo_pool pool{options};
  ASSERT_TRUE(pool.bus.echo("launch").get(deadline));
  std::atomic<int> open{0};
  std::atomic<int> most_open{0};
  std::atomic<int> answered{0};
  std::atomic<int> refused{0};
  const auto flood = [&] {
    while (answered < 3'000) {
      const auto now_open = ++open;
      for (auto most = most_open.load(); most < now_open && !most_open.compare_exchange_weak(most, now_open);)
        ;
      pool.bus.echo("x").on_result([&](const caf::expected<std::string>& x) {
        --open;
        if (x)
          ++answered;
        else if (code_of(x.error()) == errc::buffer_full)
          ++refused;
      });
    }
  };
  std::thread first{flood};
  std::thread second{flood};
  first.join();
  second.join();
  EXPECT_TRUE(eventually([&] { return open == 0; }));
  EXPECT_GT(refused, 0);
  EXPECT_LE(most_open, 1'000 + 1 + 2 * 2)
      << "what waits, what runs, and two of each thread: one more, and one in the making";
  EXPECT_TRUE(pool.bus.echo("after").get(deadline));
}

TEST(Overload, AMapOverAPoolYieldsEveryAnswerInOrder) {
  auto options = echo_options();
  options.nodes = 2;
  options.calls_per_node = 8;
  echo_pool pool{options};
  int next = 0;
  for (auto& [index, answer] : pool.bus.echo.map(texts{5'000}, {.window = 64})) {
    ASSERT_TRUE(answer);
    ASSERT_EQ(*answer, std::to_string(next++));
  }
  EXPECT_EQ(next, 5'000);
}

} // namespace

} // namespace cluster_channel
