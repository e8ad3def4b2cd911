// A child for the parity suite: calls its master's slots, and ends in every way there is.

#include <cluster_channel/channels/child_channel.hpp>

#include "child_events.hpp"
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using parity_child::events;

constexpr int link_fd = 3; // where a node finds its link

caf::expected<int> work(const events& bus, int steps) {
  for (int i = 1; i < steps; ++i)
    static_cast<void>(bus.progress(i));
  if (auto last = bus.progress(steps).get(); !last)
    return last.error();
  return steps;
}

int flood(const events& bus, int room) {
  std::vector<cluster_channel::call<int>> calls;
  for (int i = 0; i < room + 2; ++i)
    calls.push_back(bus.secret(i));
  int refused = 0;
  for (auto call = calls.begin() + room; call != calls.end(); ++call)
    if (auto result = call->get();
        !result && cluster_channel::code_of(result.error()) == cluster_channel::errc::buffer_full)
      ++refused;
  return refused;
}

[[noreturn]] void hang_up() {
  ::shutdown(link_fd, SHUT_RDWR);
  for (;;)
    ::pause();
}

} // namespace

int main(int argc, char** argv) {
  return cluster_channel::serve<events>([&](const events& bus) {
    bus.twice.on([](int x) { return 2 * x; });
    bus.work.on([&](int steps) { return work(bus, steps); });
    bus.ask.on([&](int x) { return bus.secret(x).get(); });
    bus.flood.on([&](int room) { return flood(bus, room); });
    bus.pid.on([] { return static_cast<int>(::getpid()); });
    bus.argument.on([argc, argv] { return std::string{argc > 1 ? argv[1] : ""}; });
    bus.directory.on([] { return std::filesystem::current_path().string(); });
    bus.value.on([](const std::string& name) {
      const auto* text = std::getenv(name.c_str());
      return std::string{text ? text : "(not set)"};
    });
    bus.say.on([](const std::string& line) {
      std::cout << line << " on stdout" << std::endl;
      std::cerr << line << " on stderr" << std::endl;
    });
    bus.quit.on([](int code) { std::_Exit(code); });
    bus.kill.on([](int signo) { std::raise(signo); });
    bus.hang_up.on([] { hang_up(); });
  });
}
