// One node that echoes: how long one call takes, how many are made with many in flight, how fast large ones are.
#include "cases/cases.hpp"
#include <algorithm>
#include <array>

namespace bench {

namespace {

const std::vector<pin_mode> both_ways{pin_mode::apart, pin_mode::one};

void one_at_a_time(context& with, const std::string& name) {
  run_echoes(with, {.name = name,
                    .takes_part = [](const abilities& can) { return can.one_at_a_time; },
                    .prepare =
                        [&with](running& each) {
                          constexpr std::size_t tried = 50;
                          const auto count =
                              std::max(tried, calls_for(with, tried, timed([&] { each.system->time_one(tried); })));
                          return [&each, count] {
                            latency took;
                            auto result = measure_calls(each.processes, count, [&] {
                              took = each.system->time_one(count);
                              return static_cast<double>(count) / took.calls_per_s;
                            });
                            result.p50_us = took.p50_us;
                            result.p99_us = took.p99_us;
                            return result;
                          };
                        },
                    .pins = both_ways});
}

void in_flight(context& with, const std::string& name, std::size_t window) {
  run_echoes(with, {.name = name,
                    .setup = {.in_flight = window},
                    .takes_part = [](const abilities& can) { return can.in_flight; },
                    .prepare =
                        [&with, window](running& each) {
                          const auto tried = std::max<std::size_t>(window, 200);
                          const auto took = each.system->time_many(tried, window);
                          const auto count = std::max(window, calls_for(with, tried, took));
                          return [&each, window, count] {
                            return measure_calls(each.processes, count,
                                                 [&] { return each.system->time_many(count, window); });
                          };
                        },
                    .pins = both_ways});
}

/// All calls are made while the node stands still, so that all of them wait; then it goes on.
void at_once(context& with, const std::string& name) {
  const auto wanted = with.pick<std::size_t>(1'000'000, 10'000);
  run_echoes(with, {.name = name,
                    .setup = {.in_flight = wanted},
                    .takes_part = [](const abilities& can) { return can.at_once_max > 0; },
                    .prepare =
                        [wanted](running& each) {
                          const auto count = std::min(wanted, each.entry->can.at_once_max);
                          return [&each, count] {
                            double waiting_bytes = 0;
                            auto result = measure_calls(each.processes, count, [&] {
                              trim_memory();
                              const auto before = rss_bytes(each.processes);
                              double took = 0;
                              {
                                const stopped still{each.processes.nodes};
                                took = timed([&] { each.system->issue(count); });
                                waiting_bytes = rss_bytes(each.processes) - before;
                              }
                              return took + timed([&] { each.system->collect(); });
                            });
                            result.rss_bytes = waiting_bytes / static_cast<double>(count);
                            result.more["calls"] = static_cast<double>(count);
                            return result;
                          };
                        }});
}

void large(context& with, const std::string& name, std::size_t bytes) {
  run_echoes(with, {.name = name,
                    .setup = {.message_bytes = bytes},
                    .takes_part =
                        [&with, bytes](const abilities& can) {
                          return can.large && !(with.quick && can.is_slow && bytes > std::size_t{1} << 20);
                        },
                    .prepare =
                        [&with, bytes](running& each) {
                          const auto count = with.quick ? 1 : calls_for(with, 1, each.system->time_many(1, 1));
                          return [&each, bytes, count] {
                            auto result =
                                measure_calls(each.processes, count, [&] { return each.system->time_many(count, 1); });
                            result.bytes_per_s = *result.calls_per_s * static_cast<double>(bytes);
                            return result;
                          };
                        },
                    .pins = both_ways});
}

} // namespace

std::vector<case_entry> echo_cases() {
  std::vector<case_entry> result{{"one_at_a_time", one_at_a_time}};
  for (const std::size_t window : {16, 256, 4'096})
    result.push_back({"in_flight_" + std::to_string(window),
                      [window](context& with, const std::string& name) { in_flight(with, name, window); }});
  result.push_back({"at_once", at_once});
  struct size {
    const char* name;
    std::size_t bytes;
  };
  for (const auto& [name, bytes] :
       std::array{size{"64KiB", std::size_t{64} << 10}, size{"1MiB", std::size_t{1} << 20},
                  size{"16MiB", std::size_t{16} << 20}, size{"64MiB", std::size_t{64} << 20}})
    result.push_back({std::string{"large_"} + name,
                      [bytes = bytes](context& with, const std::string& case_name) { large(with, case_name, bytes); }});
  return result;
}

} // namespace bench
