// Handlers that work, on two nodes: how much of the time of both the calls leave to the handlers.
#include "cases/cases.hpp"

namespace bench {

namespace {

constexpr std::size_t nodes = 2;

void handlers(context& with, const std::string& name, std::uint32_t us) {
  const auto calls = static_cast<std::size_t>(with.turn_seconds * 1e6 / us) * nodes;
  run_echoes(with, {.name = name,
                    .setup = {.in_flight = 16, .nodes = nodes},
                    .takes_part = [](const abilities& can) { return can.spins; },
                    .prepare =
                        [calls, us](running& each) {
                          each.system->time_spin(calls, us); // launches the nodes that are not there yet
                          return [&each, calls, us] {
                            auto result =
                                measure_calls(each.processes, calls, [&] { return each.system->time_spin(calls, us); });
                            result.more["share_of_ideal"] = *result.calls_per_s * us / 1e6 / nodes;
                            return result;
                          };
                        }});
}

} // namespace

std::vector<case_entry> handler_cases() {
  std::vector<case_entry> result;
  for (const std::uint32_t us : {1'000, 100, 10})
    result.push_back({"handlers_" + std::to_string(us) + "us",
                      [us](context& with, const std::string& name) { handlers(with, name, us); }});
  return result;
}

} // namespace bench
