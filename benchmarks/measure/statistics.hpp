// Medians and percentiles, and how long something took.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace bench {

using clock_type = std::chrono::steady_clock;

/// The value below which `share` of them lie, 0 to 1; reorders them. 0 if there are none.
double percentile(std::vector<double>& xs, double share);

double median(std::vector<double> xs);

double seconds(clock_type::duration x);
double microseconds(clock_type::duration x);

/// Seconds that `action` took.
template <class F>
double timed(F&& action) {
  const auto start = clock_type::now();
  action();
  return seconds(clock_type::now() - start);
}

/// What the times of single calls say.
struct latency {
  double p50_us = 0;
  double p99_us = 0;
  double calls_per_s = 0;
};

/// Runs `action` so often, each time timed alone.
template <class F>
latency latency_of(std::size_t count, F&& action) {
  std::vector<double> times;
  times.reserve(count);
  const auto start = clock_type::now();
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = clock_type::now();
    action();
    times.push_back(microseconds(clock_type::now() - begin));
  }
  const auto total = seconds(clock_type::now() - start);
  return {percentile(times, 0.5), percentile(times, 0.99), static_cast<double>(count) / total};
}

} // namespace bench
