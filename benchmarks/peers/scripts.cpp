// Systems whose master is a script: it measures itself, when told so by a line, and answers with a line of JSON.
#include <boost/json.hpp>

#include "systems/systems.hpp"
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace bench {

namespace {

namespace fs = std::filesystem;

class script final : public echo_system {
public:
  /// `command`: program and first arguments; the numbers of `setup` come after them.
  script(std::vector<std::string> command, const echo_setup& setup) {
    for (const auto number : {setup.message_bytes, setup.in_flight, setup.nodes})
      command.push_back(std::to_string(number));
    std::vector<char*> arguments;
    for (auto& each : command)
      arguments.push_back(each.data());
    arguments.push_back(nullptr);
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
      throw std::system_error{errno, std::generic_category(), "socketpair"};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, fds[1], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    const auto error = ::posix_spawnp(&pid_, arguments.front(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(fds[1]);
    link_ = fds[0];
    if (error != 0) {
      ::close(link_);
      throw std::system_error{error, std::generic_category(), command.front()};
    }
  }

  /// The script ends at the end of its input, and ends its own processes; should it not, all are killed.
  ~script() override {
    ::close(link_);
    for (int i = 0; i < 300; ++i) {
      if (::waitpid(pid_, nullptr, WNOHANG) != 0)
        return;
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    for (const auto each : children_of(pid_))
      ::kill(each, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void one() override { time_one(1); }
  void many(std::size_t count, std::size_t in_flight) override { time_many(count, in_flight); }

  latency time_one(std::size_t count) override {
    const auto answer = tell("one " + std::to_string(count));
    return {number(answer, "p50_us"), number(answer, "p99_us"), static_cast<double>(count) / number(answer, "seconds")};
  }

  double time_many(std::size_t count, std::size_t in_flight) override {
    return number(tell("many " + std::to_string(count) + ' ' + std::to_string(in_flight)), "seconds");
  }

  double time_spin(std::size_t count, std::uint32_t us) override {
    return number(tell("spin " + std::to_string(count) + ' ' + std::to_string(us)), "seconds");
  }

  pid_t master() const override { return pid_; }

private:
  boost::json::object tell(const std::string& command) {
    const auto line = command + '\n';
    if (::write(link_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      throw std::system_error{errno, std::generic_category(), "the script"};
    std::string answer;
    char c = 0;
    while (::read(link_, &c, 1) == 1 && c != '\n')
      answer += c;
    if (answer.empty())
      throw std::runtime_error("the script ended; see above for what it said");
    auto result = boost::json::parse(answer).as_object();
    if (const auto* error = result.if_contains("error"))
      throw std::runtime_error(boost::json::value_to<std::string>(*error));
    return result;
  }

  static double number(const boost::json::object& from, const char* key) {
    return boost::json::value_to<double>(from.at(key));
  }

  int link_ = -1;
  pid_t pid_ = 0;
};

bool is_in_path(const std::string& program) {
  const auto* path = std::getenv("PATH");
  const std::string folders = path ? path : "";
  for (std::size_t begin = 0; begin < folders.size();) {
    const auto end = std::min(folders.find(':', begin), folders.size());
    if (::access((fs::path{folders.substr(begin, end - begin)} / program).c_str(), X_OK) == 0)
      return true;
    begin = end + 1;
  }
  return false;
}

system_entry of_script(const char* name, abilities can, std::vector<std::string> command) {
  can.is_slow = true;
  can.at_once_max = 0; // a million calls would take them minutes
  return {.name = name, .can = can, .start = [command](const echo_setup& setup) {
            return std::make_unique<script>(command, setup);
          }};
}

system_entry of_node(const char* name, abilities can, const char* file, const char* package) {
  const auto folder = fs::path{BENCH_PEERS} / "node";
  auto result = of_script(name, can, {"node", folder / file});
  if (!is_in_path("node"))
    result.missing = "no node in PATH";
  else if (!fs::exists(folder / "node_modules" / package))
    result.missing = "not installed: npm ci --prefix benchmarks/peers/node --ignore-scripts";
  return result;
}

system_entry of_python(const char* name, abilities can, const char* kind) {
  auto result = of_script(name, can, {"python3", fs::path{BENCH_PEERS} / "python" / "pool.py", kind});
  if (!is_in_path("python3"))
    result.missing = "no python3 in PATH";
  return result;
}

} // namespace

std::vector<system_entry> script_systems() {
  return {of_node("Node fork, ts-event-bus", {}, "ts_event_bus.js", "ts-event-bus"),
          // Its nodes are threads of one process.
          of_node("Piscina", {.spins = true, .can_be_apart = false}, "piscina.js", "piscina"),
          of_python("Python ProcessPoolExecutor", {.spins = true}, "executor"),
          of_python("Python Pool.map", {.spins = true}, "map")};
}

} // namespace bench
