// Prints the time of one call at a time and the rate of pipelined calls to one echo_child, next to a raw socket pair in
// the same run. The two take turns, so that both meet the same noise: compare them, do not quote one alone.

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <CLI/CLI.hpp>

#include "events.hpp" // examples/echo
#include "raw_socket.hpp"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

struct settings {
  std::size_t message_bytes = 64;
  std::size_t pings = 3000;
  std::size_t calls = 200'000;
  std::size_t window = 256;
  std::size_t rounds = 5;
  std::size_t launches = 20;
  std::size_t ballast_mib = 1024;
};

double microseconds(clock_type::duration x) {
  return std::chrono::duration<double, std::micro>(x).count();
}

double median(std::vector<double> xs) {
  std::nth_element(xs.begin(), xs.begin() + static_cast<std::ptrdiff_t>(xs.size() / 2), xs.end());
  return xs[xs.size() / 2];
}

/// Median time of one `action` in microseconds.
template <class F>
double p50(std::size_t count, F action) {
  std::vector<double> times;
  times.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto start = clock_type::now();
    action();
    times.push_back(microseconds(clock_type::now() - start));
  }
  return median(std::move(times));
}

/// Actions a second, in millions.
template <class F>
double rate(std::size_t count, F all) {
  const auto start = clock_type::now();
  all();
  return static_cast<double>(count) / microseconds(clock_type::now() - start);
}

class channel_echo {
public:
  explicit channel_echo(const settings& config)
      : text_(config.message_bytes, 'x'),
        channel_{{.executable = CLUSTER_CHANNEL_ECHO_CHILD, .nodes = 1, .calls_per_node = config.window}},
        bus_{channel_} {}

  void ping() {
    if (!bus_.echo(text_).get())
      throw std::runtime_error("a call failed");
  }

  void pipeline(std::size_t count, std::size_t window) {
    std::counting_semaphore<> room{static_cast<std::ptrdiff_t>(window)};
    std::atomic<std::size_t> failed{0};
    for (std::size_t i = 0; i < count; ++i) {
      room.acquire();
      bus_.echo(text_).on_result([&](const caf::expected<std::string>& x) {
        failed += !x;
        room.release();
      });
    }
    for (std::size_t i = 0; i < window; ++i)
      room.acquire();
    if (failed > 0)
      throw std::runtime_error("calls failed");
  }

  void map(std::size_t count, std::size_t window) {
    std::size_t failed = 0;
    for (const auto& each : bus_.echo.map(repeated{text_, count}, {.window = window}))
      failed += each.answer ? 0U : 1U;
    if (failed > 0)
      throw std::runtime_error("calls failed");
  }

private:
  /// The same request over and over.
  struct repeated {
    struct iterator {
      const std::string* text;
      std::size_t left;
      const std::string& operator*() const { return *text; }
      iterator& operator++() {
        --left;
        return *this;
      }
      bool operator==(const iterator& x) const { return left == x.left; }
    };
    iterator begin() const { return {&text, count}; }
    iterator end() const { return {&text, 0}; }
    const std::string& text;
    std::size_t count;
  };

  std::string text_;
  cluster_channel::master_channel channel_;
  cluster_channel::event_bus<echo::events> bus_;
};

/// Median time from the first call to a new pool to its answer, in milliseconds: one launch, hello and call.
double launch_ms(std::size_t count) {
  std::vector<double> times;
  for (std::size_t i = 0; i < count; ++i) {
    channel_echo fresh{settings{.message_bytes = 64, .window = 1}};
    const auto start = clock_type::now();
    fresh.ping();
    times.push_back(microseconds(clock_type::now() - start) / 1000);
  }
  return median(std::move(times));
}

/// A launch must not depend on the size of the master.
void run_launches(const settings& config) {
  const auto small = launch_ms(config.launches);
  const std::vector<char> ballast(config.ballast_mib << 20, 'x');
  const auto large = launch_ms(config.launches);
  std::printf(
      "first call to a new node, median of %zu: %.2f ms; with %zu MiB more in the master: %.2f ms (%.2f times)\n",
      config.launches, small, ballast.size() >> 20, large, large / small);
}

void run(const settings& config) {
  bench::raw_echo raw{config.message_bytes}; // forks, so it comes before any thread
  channel_echo ours{config};
  for (std::size_t i = 0; i < 200; ++i) {
    raw.ping();
    ours.ping();
  }
  std::vector<double> raw_p50, our_p50, p50_ratio, raw_rate, our_rate, rate_ratio, map_rate, map_ratio;
  for (std::size_t round = 0; round < config.rounds; ++round) {
    raw_p50.push_back(p50(config.pings, [&] { raw.ping(); }));
    our_p50.push_back(p50(config.pings, [&] { ours.ping(); }));
    p50_ratio.push_back(our_p50.back() / raw_p50.back());
    raw_rate.push_back(rate(config.calls, [&] { raw.pipeline(config.calls, config.window); }));
    our_rate.push_back(rate(config.calls, [&] { ours.pipeline(config.calls, config.window); }));
    rate_ratio.push_back(our_rate.back() / raw_rate.back());
    map_rate.push_back(rate(config.calls, [&] { ours.map(config.calls, config.window); }));
    map_ratio.push_back(map_rate.back() / raw_rate.back());
  }
  std::printf("%zu-byte echo, one child, medians of %zu rounds\n", config.message_bytes, config.rounds);
  std::printf("%-34s %14s %16s %8s\n", "", "raw socketpair", "cluster_channel", "ratio");
  std::printf("%-34s %11.1f us %13.1f us %8.2f\n", "one at a time, p50", median(raw_p50), median(our_p50),
              median(p50_ratio));
  std::printf("%zu in flight, on_result %12s %11.3f M/s %12.3f M/s %8.2f\n", config.window, "", median(raw_rate),
              median(our_rate), median(rate_ratio));
  std::printf("%zu in flight, map %18s %11.3f M/s %12.3f M/s %8.2f\n", config.window, "", median(raw_rate),
              median(map_rate), median(map_ratio));
}

} // namespace

int main(int argc, char** argv) {
  settings config;
  CLI::App app{"Times cluster_channel next to a raw socket pair."};
  app.add_option("--bytes", config.message_bytes, "size of a message")->check(CLI::PositiveNumber);
  app.add_option("--pings", config.pings, "calls one at a time, each round")->check(CLI::PositiveNumber);
  app.add_option("--calls", config.calls, "pipelined calls, each round")->check(CLI::PositiveNumber);
  app.add_option("--window", config.window, "pipelined calls in flight")->check(CLI::PositiveNumber);
  app.add_option("--rounds", config.rounds, "how often both are timed")->check(CLI::PositiveNumber);
  app.add_option("--launches", config.launches, "new pools timed")->check(CLI::PositiveNumber);
  app.add_option("--ballast-mib", config.ballast_mib, "memory added to the master for the second half of them");
  CLI11_PARSE(app, argc, argv);
  try {
    run(config);
    run_launches(config);
  } catch (const std::exception& ex) {
    std::fprintf(stderr, "bench: %s\n", ex.what());
    return 1;
  }
}
