// All cases. Each prints its rows as it goes.
#pragma once

#include "cases/turns.hpp"
#include <string>
#include <vector>

namespace bench {

struct case_entry {
  std::string name{};
  std::function<void(context&, const std::string& name)> run{};
};

// In order of the report.
std::vector<case_entry> echo_cases();    // one at a time, in flight, at once, large
std::vector<case_entry> handler_cases(); // handlers that work
std::vector<case_entry> launch_cases();  // launch to first answer
std::vector<case_entry> pool_cases();    // flood, time limits, idle nodes: of cluster_channel alone

std::vector<case_entry> all_cases();

} // namespace bench
