// Several systems measured in turns: A B C A B C …, so that all meet the same noise.
#pragma once

#include "measure/processes.hpp"
#include "measure/report.hpp"
#include "systems/echo_system.hpp"
#include <functional>
#include <regex>
#include <string>
#include <vector>

namespace bench {

struct context {
  bool quick = false;
  std::size_t rounds = 5;
  double turn_seconds = 0.5;    ///< about how long a turn takes, where the number of calls is free
  std::vector<pin_mode> pins{}; ///< empty: as each case likes
  std::regex system_pattern{};
  std::vector<system_entry> systems{}; ///< those that are there
  report* out = nullptr;

  bool wants(const std::string& system) const { return std::regex_search(system, system_pattern); }

  /// `full`, or `small` if it has to be quick.
  template <class T>
  T pick(T full, T small) const {
    return quick ? small : full;
  }
};

/// Who takes part in a case.
struct contestant {
  std::string name{};
  std::function<sample()> turn{};
  bool is_limit = false; ///< the others are compared with the fastest of these
};

/// Measures all, and adds a row for each to the report. One that throws is reported as skipped.
void take_turns(context& with, const std::string& case_name, std::vector<contestant> contestants);

/// An echo system that runs.
struct running {
  const system_entry* entry = nullptr;
  std::unique_ptr<echo_system> system{};
  process_group processes{};
};

/// Starts `entry`, and tells its processes apart from those that were there.
running start(const system_entry& entry, const echo_setup& setup);

/// How many calls fill `turn_seconds`, if `tried` of them took `took`.
std::size_t calls_for(const context& with, std::size_t tried, double took);

/// A case of echoes: starts all systems that take part, pinned in each of the ways asked for, and measures them.
struct echo_case {
  std::string name{};
  echo_setup setup{};
  std::function<bool(const abilities&)> takes_part{};
  /// How one turn is measured; called once for each system, before its turns, to make ready.
  std::function<std::function<sample()>(running&)> prepare{};
  std::vector<pin_mode> pins{pin_mode::free}; ///< unless the context has some
};

void run_echoes(context& with, const echo_case& what);

/// What `action`, which makes `calls` calls and returns the seconds they took, costs.
sample measure_calls(const process_group& processes, std::size_t calls, const std::function<double()>& action);

} // namespace bench
