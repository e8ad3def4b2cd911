// Handlers that work, on two nodes: how much of the time of both the calls leave to the handlers.
#include "cases/cases.hpp"
#include "systems/cluster_channel.hpp"
#include <latch>

namespace bench {

namespace {

constexpr std::size_t nodes = 2;

sample share_of_ideal(std::size_t calls, std::uint32_t us, double took) {
  sample result;
  result.calls_per_s = static_cast<double>(calls) / took;
  result.more["share_of_ideal"] = *result.calls_per_s * us / 1e6 / nodes;
  result.mode = name_of(pin_mode::free);
  return result;
}

/// Seconds that so many calls take, some of them waiting at each node.
double spin_all(const events& bus, std::size_t calls, std::uint32_t us) {
  std::atomic<std::size_t> failed{0};
  std::latch done{static_cast<std::ptrdiff_t>(calls)};
  const auto took = timed([&] {
    for (std::size_t i = 0; i < calls; ++i)
      bus.spin_us(us).on_result([&](const caf::expected<void>& x) {
        failed += x ? 0U : 1U;
        done.count_down();
      });
    done.wait();
  });
  if (failed > 0)
    throw std::runtime_error("calls failed");
  return took;
}

void handlers(context& with, const std::string& name, std::uint32_t us) {
  const auto calls = static_cast<std::size_t>(with.turn_seconds * 1e6 / us) * nodes;
  auto options = [](std::size_t calls_per_node) {
    auto result = pool_of_one(calls_per_node);
    result.nodes = result.min_nodes = nodes;
    return result;
  };
  pool one_each{options(1)};
  pool several_each{options(16)};
  std::vector<contestant> contestants;
  const auto add = [&](const std::string& system, const pool& at) {
    if (with.wants(system))
      contestants.push_back(
          {system, [&at, calls, us] { return share_of_ideal(calls, us, spin_all(at.bus, calls, us)); }});
  };
  add("cluster_channel", one_each);
  add("cluster_channel, 16 calls a node", several_each);
  for (const auto& each : contestants)
    each.turn(); // launches the nodes
  take_turns(with, name, std::move(contestants));
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
