// The child of the tests in C++: the same handlers as child.js, but for those that run JavaScript.

#include <cluster_channel/channels/child_channel.hpp>

#include "events.hpp"
#include <cstdlib>
#include <iostream>
#include <limits>
#include <memory>
#include <stdexcept>
#include <unistd.h>

namespace {

void serve_tests(node_test::events& bus) {
  auto remove_late = std::make_shared<cluster_channel::unsubscribe>();
  const auto same = [](const auto& x) { return x; };
  bus.echo_string.on([same](const std::string& x) { return same(x); });
  bus.echo_integer.on([same](std::int64_t x) { return same(x); });
  bus.echo_number.on([same](double x) { return same(x); });
  bus.echo_bool.on([same](bool x) { return same(x); });
  bus.echo_list.on([same](const std::vector<int>& x) { return same(x); });
  bus.echo_map.on([same](const std::map<std::string, std::string>& x) { return same(x); });
  bus.echo_optional.on([same](const std::optional<int>& x) { return same(x); });
  bus.echo_order.on([same](const node_test::order& x) { return same(x); });
  bus.echo_bytes.on([same](const std::vector<std::byte>& x) { return same(x); });
  bus.nothing.on([] {});
  bus.fail.on([](const std::string& text) -> std::string { throw std::runtime_error{text}; });
  bus.by_param.on(cluster_channel::parameter{"a"}, [](const std::string& x) { return "a " + x; });
  bus.by_param.on(cluster_channel::parameter{"b"}, [](const std::string& x) { return "b " + x; });
  bus.pid.on([] { return std::int64_t{::getpid()}; });

  // In place of JavaScript: a few commands.
  bus.run.on([&bus, remove_late](const std::string& command, const cluster_channel::promise<std::string>& done) {
    if (command == "ask") {
      auto answer = bus.ask_master("from C++").get(std::chrono::seconds{10});
      answer ? done.deliver(*answer) : done.fail(answer.error());
    } else if (command == "progress") {
      for (const auto part : {0.25, 0.5, 1.0})
        static_cast<void>(bus.progress(part).get(std::chrono::seconds{10}));
      done.deliver("done");
    } else if (command == "die") {
      std::abort();
    } else if (command == "register") {
      *remove_late = bus.late.on([](const std::string& x) { return "late " + x; });
      done.deliver("registered");
    } else if (command == "unregister") {
      (*remove_late)();
      done.deliver("unregistered");
    } else {
      done.fail("no such command: " + command);
    }
  });
  bus.run_for_integer.on([](const std::string&) { return std::numeric_limits<std::int64_t>::max(); });
}

} // namespace

int main() {
  return cluster_channel::serve<node_test::events>(serve_tests);
}
