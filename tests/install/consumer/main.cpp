// A program outside of the tree that is its own child, and one that uses the installed test kit.

#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <iostream>

struct events {
  cluster_channel::slot<int, int> foo;
};
BOOST_DESCRIBE_STRUCT(events, (), (foo))

static void register_handlers(events& bus) {
  bus.foo.on([](int x) { return 2 * x; });
}

int main() {
  if (cluster_channel::is_child())
    return cluster_channel::serve<events>(register_handlers);

  cluster_channel::test::pool<events> pool;
  register_handlers(pool.child());
  auto simulated = pool.bus().foo(4);
  pool.run();
  if (!simulated.get(std::chrono::seconds{0}))
    return 1;

  cluster_channel::master_channel channel{{.executable = cluster_channel::this_executable()}};
  const cluster_channel::event_bus<events> bus{channel};
  auto answer = bus.foo(21).get();
  if (!answer) {
    std::cerr << cluster_channel::describe(answer.error()) << '\n';
    return 1;
  }
  std::cout << "foo(21) = " << *answer << '\n';
}
