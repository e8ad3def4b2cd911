#include "cases/turns.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <iterator>

namespace bench {

namespace {

/// The larger, the faster. Of single calls the median counts, which rare pauses do not move.
std::optional<double> speed(const sample& x) {
  if (x.p50_us && *x.p50_us > 0)
    return 1 / *x.p50_us;
  return x.calls_per_s ? x.calls_per_s : x.bytes_per_s;
}

struct history {
  contestant who;
  std::vector<sample> samples;
  std::vector<double> ratios;
  bool failed = false;
};

template <class Of>
std::optional<double> median_of(const std::vector<sample>& samples, Of of) {
  std::vector<double> xs;
  for (const auto& each : samples)
    if (const std::optional<double> x = of(each))
      xs.push_back(*x);
  return xs.empty() ? std::nullopt : std::optional{median(std::move(xs))};
}

sample medians_of(const std::vector<sample>& samples) {
  sample result;
  result.calls_per_s = median_of(samples, [](const sample& x) { return x.calls_per_s; });
  result.p50_us = median_of(samples, [](const sample& x) { return x.p50_us; });
  result.p99_us = median_of(samples, [](const sample& x) { return x.p99_us; });
  result.bytes_per_s = median_of(samples, [](const sample& x) { return x.bytes_per_s; });
  result.rss_bytes = median_of(samples, [](const sample& x) { return x.rss_bytes; });
  for (const auto& [key, value] : samples.front().more)
    result.more[key] = *median_of(samples, [&key = key](const sample& x) -> std::optional<double> {
      const auto found = x.more.find(key);
      return found == x.more.end() ? std::nullopt : std::optional{found->second};
    });
  result.mode = samples.front().mode;
  for (const auto& each : samples)
    if (each.mode != result.mode)
      result.mode = "free, both seen";
  return result;
}

/// Compares those who were measured in this round.
void compare(std::vector<history>& all) {
  double limit = 0;
  for (const auto& each : all)
    if (each.who.is_limit && !each.failed)
      limit = std::max(limit, speed(each.samples.back()).value_or(0));
  for (auto& each : all)
    if (limit > 0 && !each.failed)
      if (const auto x = speed(each.samples.back()))
        each.ratios.push_back(*x / limit);
}

} // namespace

void take_turns(context& with, const std::string& case_name, std::vector<contestant> contestants) {
  std::vector<history> all;
  for (auto& each : contestants)
    all.push_back({std::move(each), {}, {}, false});
  for (std::size_t round = 0; round < with.rounds; ++round) {
    for (auto& each : all) {
      if (each.failed)
        continue;
      try {
        each.samples.push_back(each.who.turn());
      } catch (const std::exception& ex) {
        each.failed = true;
        with.out->skip(each.who.name + " in " + case_name, ex.what());
        with.out->count_failure();
      }
    }
    compare(all);
  }
  std::vector<row> rows;
  for (auto& each : all)
    if (!each.failed && !each.samples.empty())
      rows.push_back({case_name, each.who.name, medians_of(each.samples),
                      each.ratios.empty() ? std::nullopt : std::optional{median(each.ratios)}, with.rounds});
  with.out->add(rows);
}

running start(const system_entry& entry, const echo_setup& setup) {
  const auto before = children_of(::getpid());
  running result{&entry, entry.start(setup), {}};
  result.system->one(); // some start their node only now
  result.processes.master = result.system->master();
  const auto after = children_of(result.processes.master);
  if (result.processes.master == ::getpid())
    std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                        std::back_inserter(result.processes.nodes));
  else
    result.processes.nodes = after;
  return result;
}

std::size_t calls_for(const context& with, std::size_t tried, double took) {
  return std::max<std::size_t>(1, static_cast<std::size_t>(with.turn_seconds * static_cast<double>(tried) / took));
}

void run_echoes(context& with, const echo_case& what) {
  for (const auto mode : with.pins.empty() ? what.pins : with.pins) {
    if (!pinned::is_possible(mode)) {
      with.out->skip(std::string{"both ends "} + name_of(mode), "this process may use one CPU only");
      continue;
    }
    const pinned here{mode};
    std::vector<running> all;
    all.reserve(with.systems.size());
    std::vector<contestant> contestants;
    for (const auto& entry : with.systems) {
      if (!what.takes_part(entry.can) || (mode == pin_mode::apart && !entry.can.can_be_apart))
        continue;
      try {
        auto& each = all.emplace_back(start(entry, what.setup));
        here.apply(each.processes);
        auto turn = what.prepare(each);
        contestants.push_back({entry.name,
                               [turn, mode, processes = &each.processes] {
                                 auto result = turn();
                                 result.mode = name_of(mode);
                                 if (mode == pin_mode::free)
                                   if (const auto seen = seen_mode(*processes); !seen.empty())
                                     result.mode += ", " + seen;
                                 return result;
                               },
                               entry.can.is_limit});
      } catch (const std::exception& ex) {
        with.out->skip(entry.name + " in " + what.name, ex.what());
        with.out->count_failure();
      }
    }
    take_turns(with, what.name, std::move(contestants));
  }
}

sample measure_calls(const process_group& processes, std::size_t calls, const std::function<double()>& action) {
  const auto before = cpu_seconds(processes);
  const auto took = action();
  const auto count = static_cast<double>(calls);
  sample result;
  result.calls_per_s = count / took;
  result.more["cpu_us_per_call"] = (cpu_seconds(processes) - before) / count * 1e6;
  return result;
}

} // namespace bench
