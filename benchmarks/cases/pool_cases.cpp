// What only a pool has: a bounded buffer that is flooded, time limits, nodes that idle.
#include "cases/cases.hpp"
#include "systems/cluster_channel.hpp"
#include <algorithm>
#include <chrono>
#include <thread>

namespace bench {

namespace {

using namespace std::chrono_literals;

const std::string text(64, 'x');

process_group own_processes() {
  return {::getpid(), children_of(::getpid())};
}

/// Waits until all `nodes` are ready.
void wait_for_nodes(const pool& at, std::size_t nodes) {
  const auto end = clock_type::now() + 1min;
  while (at.channel.stats().ready_nodes < nodes) {
    if (clock_type::now() > end)
      throw std::runtime_error("the nodes did not start within a minute");
    std::this_thread::sleep_for(1ms);
  }
}

// -- flood --------------------------------------------------------------------

/// Two threads that run `action` over and over, until this goes.
class two_threads {
public:
  template <class F>
  explicit two_threads(F action) {
    const auto loop = [this, action] {
      while (!ended_)
        action();
    };
    first_ = std::thread{loop};
    second_ = std::thread{loop};
  }
  two_threads(const two_threads&) = delete;
  two_threads& operator=(const two_threads&) = delete;
  ~two_threads() {
    ended_ = true;
    first_.join();
    second_.join();
  }

private:
  std::atomic<bool> ended_{false};
  std::thread first_;
  std::thread second_;
};

constexpr std::size_t flood_buffer = 10'000;

cluster_channel::master_options flooded_pool() {
  auto result = pool_of_one(256);
  result.buffer_calls_max = flood_buffer;
  result.min_nodes = 1;
  return result;
}

/// Answers a second while two threads call as fast as they can, far more than the pool takes.
sample flood_turn(double turn_seconds) {
  pool at{flooded_pool()};
  wait_for_nodes(at, 1);
  const auto processes = own_processes();
  std::atomic<std::int64_t> open{0};
  std::atomic<std::int64_t> answered{0};
  std::atomic<std::int64_t> refused{0};
  trim_memory();
  const auto before = rss_bytes(processes);
  double most = 0;
  double took = 0;
  {
    const two_threads callers{[&] {
      ++open;
      at.bus.echo(text).on_result([&](const caf::expected<std::string>& x) {
        --open;
        ++(x ? answered : refused);
      });
    }};
    took = timed([&] {
      for (const auto end = clock_type::now() + std::chrono::duration<double>{turn_seconds}; clock_type::now() < end;) {
        most = std::max(most, rss_bytes(processes));
        std::this_thread::sleep_for(50ms);
      }
    });
  }
  sample result;
  result.calls_per_s = static_cast<double>(answered) / took;
  result.rss_bytes = most - before;
  result.more["refused_per_s"] = static_cast<double>(refused) / took;
  std::this_thread::sleep_for(1s);
  result.more["open_after_1s"] = static_cast<double>(open);
  result.mode = name_of(pin_mode::free);
  at.channel.close(); // no call may come back to what is on this stack
  return result;
}

/// Answers a second with a full window, while two threads take as much of the CPUs as those of the flood.
sample window_beside_two_threads(double turn_seconds) {
  pool at{flooded_pool()};
  wait_for_nodes(at, 1);
  const auto processes = own_processes();
  trim_memory();
  const auto before = rss_bytes(processes);
  constexpr std::size_t in_flight = 4'096;
  call_window window{at.bus, text, in_flight};
  std::size_t calls = 0;
  const two_threads spinning{[] {}};
  const auto took = timed([&] {
    for (const auto end = clock_type::now() + std::chrono::duration<double>{turn_seconds}; clock_type::now() < end;
         ++calls)
      window.call();
    window.drain();
  });
  sample result;
  result.calls_per_s = static_cast<double>(calls) / took;
  result.rss_bytes = rss_bytes(processes) - before;
  result.mode = name_of(pin_mode::free);
  return result;
}

void flood(context& with, const std::string& name) {
  const auto turn_seconds = with.pick(12.0, 0.2);
  std::vector<contestant> contestants;
  if (with.wants("cluster_channel"))
    contestants = {{"window beside two spinning threads",
                    [turn_seconds] { return window_beside_two_threads(turn_seconds); }, true},
                   {"flood of two threads", [turn_seconds] { return flood_turn(turn_seconds); }}};
  take_turns(with, name, std::move(contestants));
}

// -- time limits --------------------------------------------------------------

/// All calls are open at a time, and each has limits of its own, or none.
sample open_calls(std::size_t count, bool limited) {
  auto options = pool_of_one(256);
  options.timeout = cluster_channel::no_timeout;
  pool at{std::move(options)};
  call_window window{at.bus, text, count};
  window.call(); // launches the node
  window.drain();
  const auto processes = own_processes();
  auto result = measure_calls(processes, count, [&] {
    return timed([&] {
      {
        const stopped still{processes.nodes};
        for (std::size_t i = 0; i < count; ++i) {
          const auto own = std::chrono::microseconds{i};
          window.call(limited ? cluster_channel::call_options{.timeout = 60s + own,
                                                              .wait_timeout = 50s + own,
                                                              .run_timeout = 40s + own}
                              : cluster_channel::call_options{});
        }
      }
      window.drain();
    });
  });
  result.mode = name_of(pin_mode::free);
  return result;
}

void time_limits(context& with, const std::string& name) {
  const auto count = with.pick<std::size_t>(100'000, 5'000);
  std::vector<contestant> contestants;
  if (with.wants("cluster_channel"))
    contestants = {{"without limits", [count] { return open_calls(count, false); }, true},
                   {"three limits a call, all distinct", [count] { return open_calls(count, true); }}};
  take_turns(with, name, std::move(contestants));
}

// -- nodes that idle ----------------------------------------------------------

cluster_channel::master_options pool_of(std::size_t nodes) {
  auto result = pool_of_one();
  result.nodes = result.min_nodes = nodes;
  return result;
}

/// One call at a time, while all other nodes idle. All pools stay for all rounds, as in other cases.
void idle_nodes(context& with, const std::string& name) {
  if (!with.wants("cluster_channel"))
    return;
  const auto calls = with.pick<std::size_t>(10'000, 200);
  std::vector<std::unique_ptr<pool>> pools;
  std::vector<contestant> contestants;
  for (const auto idle : with.quick ? std::vector<std::size_t>{0, 2, 20} : std::vector<std::size_t>{0, 2, 50, 500}) {
    auto& at = *pools.emplace_back(std::make_unique<pool>(pool_of(idle + 1)));
    wait_for_nodes(at, idle + 1);
    contestants.push_back({std::to_string(idle) + " idle nodes",
                           [&at, calls] {
                             const auto took = latency_of(calls, [&] {
                               if (!at.bus.echo(text).get())
                                 throw std::runtime_error("a call failed");
                             });
                             sample result;
                             result.calls_per_s = took.calls_per_s;
                             result.p50_us = took.p50_us;
                             result.p99_us = took.p99_us;
                             result.mode = name_of(pin_mode::free);
                             return result;
                           },
                           idle == 0});
  }
  take_turns(with, name, std::move(contestants));
}

/// What a pool costs that does nothing.
sample idle_pool_turn(std::size_t nodes, std::chrono::milliseconds settling, double turn_seconds) {
  trim_memory();
  const auto without = rss_bytes(::getpid());
  pool at{pool_of(nodes)};
  wait_for_nodes(at, nodes);
  const auto processes = own_processes();
  std::this_thread::sleep_for(settling); // lets what belongs to the launches end
  sample result;
  const auto wakeups_before = wakeups(processes);
  const auto cpu_before = cpu_seconds(processes);
  const auto own_before = wakeups(::getpid());
  const auto took = timed([&] { std::this_thread::sleep_for(std::chrono::duration<double>{turn_seconds}); });
  // This thread's sleep is one of them.
  result.more["wakeups_per_s"] = std::max(0.0, wakeups(processes) - wakeups_before - 1) / took;
  result.more["wakeups_per_s_of_master"] = std::max(0.0, wakeups(::getpid()) - own_before - 1) / took;
  result.more["cpu_us_per_s"] = (cpu_seconds(processes) - cpu_before) / took * 1e6;
  double nodes_bytes = 0;
  for (const auto pid : processes.nodes)
    nodes_bytes += rss_bytes(pid);
  result.rss_bytes = nodes_bytes / static_cast<double>(nodes);
  result.more["rss_bytes_of_master"] = rss_bytes(::getpid()) - without;
  result.mode = name_of(pin_mode::free);
  return result;
}

void idle_pool(context& with, const std::string& name) {
  const auto settling = with.pick(3'000ms, 100ms);
  const auto turn_seconds = with.pick(5.0, 0.2);
  std::vector<contestant> contestants;
  if (with.wants("cluster_channel"))
    for (const auto nodes : with.quick ? std::vector<std::size_t>{8} : std::vector<std::size_t>{8, 200})
      contestants.push_back({std::to_string(nodes) + " nodes", [nodes, settling, turn_seconds] {
                               return idle_pool_turn(nodes, settling, turn_seconds);
                             }});
  take_turns(with, name, std::move(contestants));
}

} // namespace

std::vector<case_entry> pool_cases() {
  return {{"flood", flood}, {"time_limits", time_limits}, {"idle_nodes", idle_nodes}, {"idle_pool", idle_pool}};
}

} // namespace bench
