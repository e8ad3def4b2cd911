// Measures cluster_channel beside others, in turns on one machine. README.md beside this says how to read it.

#include <CLI/CLI.hpp>

#include "cases/cases.hpp"
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <csignal>
#include <cstdio>
#include <sys/prctl.h>

namespace bench {

std::vector<case_entry> all_cases() {
  std::vector<case_entry> result;
  for (const auto& some : {echo_cases(), handler_cases(), launch_cases(), pool_cases()})
    result.insert(result.end(), some.begin(), some.end());
  return result;
}

namespace {

/// The node of a peer: ends with its master.
int serve(const std::string& name, const serve_arguments& arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const auto& each : all_systems())
    if (each.name == name && each.serve)
      return each.serve(arguments);
  std::fprintf(stderr, "bench: no node for %s\n", name.c_str());
  return 2;
}

struct arguments {
  bool quick = false;
  bool list = false;
  std::string json;
  std::string cases = ".";
  std::string systems = ".";
  std::vector<std::string> pins;
  std::size_t rounds = 0;
  double turn_seconds = 0;
  std::vector<std::string> serve;
};

void list() {
  std::printf("cases:\n");
  for (const auto& each : all_cases())
    std::printf("  %s\n", each.name.c_str());
  std::printf("systems:\n");
  for (const auto& each : all_systems())
    std::printf("  %s%s%s\n", each.name.c_str(), each.missing.empty() ? "" : ": skipped, ", each.missing.c_str());
}

pin_mode pin_mode_of(const std::string& name) {
  return name == "one" ? pin_mode::one : name == "apart" ? pin_mode::apart : pin_mode::free;
}

int run_cases(const arguments& given) {
  const std::regex case_pattern{given.cases};
  context with;
  with.quick = given.quick;
  with.rounds = given.rounds > 0 ? given.rounds : with.pick<std::size_t>(5, 1);
  with.turn_seconds = given.turn_seconds > 0 ? given.turn_seconds : with.pick(0.5, 0.01);
  for (const auto& each : given.pins)
    with.pins.push_back(pin_mode_of(each));
  if (with.quick && with.pins.empty())
    with.pins = {pin_mode::free};
  with.system_pattern = std::regex{given.systems};
  report out{{{"rounds", std::to_string(with.rounds)},
              {"turn_seconds", std::to_string(with.turn_seconds)},
              {"quick", with.quick ? "yes" : "no"}}};
  with.out = &out;
  for (const auto& [key, value] : machine())
    std::printf("%s: %s\n", key.c_str(), value.c_str());
  for (const auto& each : all_systems())
    if (!each.missing.empty())
      out.skip(each.name, each.missing);
    else if (with.wants(each.name))
      with.systems.push_back(each);
  for (const auto& each : all_cases())
    if (std::regex_search(each.name, case_pattern))
      each.run(with, each.name);
  if (!given.json.empty())
    out.write_json(given.json);
  return out.has_failures() ? 1 : 0;
}

} // namespace

} // namespace bench

int main(int argc, char** argv) {
  bench::arguments given;
  CLI::App app{"Measures cluster_channel beside others, in turns."};
  app.add_flag("--quick", given.quick, "every case once and briefly: shows that all work, not how fast");
  app.add_flag("--list", given.list, "names all cases and systems");
  app.add_option("--json", given.json, "write the rows to this file too");
  app.add_option("--cases", given.cases, "only those whose name has a match of this regular expression");
  app.add_option("--systems", given.systems, "the same for systems");
  app.add_option("--pin", given.pins, "where both ends run; several are measured one after the other")
      ->delimiter(',')
      ->check(CLI::IsMember({"one", "apart", "free"}));
  app.add_option("--rounds", given.rounds, "turns of each system in each case")->check(CLI::PositiveNumber);
  app.add_option("--turn-seconds", given.turn_seconds, "how long a turn takes, about")->check(CLI::PositiveNumber);
  app.add_option("--serve", given.serve, "used by the benchmark itself: the node of a peer")->expected(2)->group("");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN); // a node that has gone is an error like others
  try {
    if (!given.serve.empty())
      return bench::serve(given.serve.front(), {std::stoul(given.serve.back())});
    if (given.list)
      bench::list();
    else
      return bench::run_cases(given);
  } catch (const std::exception& ex) {
    std::fprintf(stderr, "bench: %s\n", ex.what());
    return 1;
  }
}
