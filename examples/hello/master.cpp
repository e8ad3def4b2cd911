#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include "events.hpp"
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  const std::string child = argc > 1 ? argv[1] : "./hello_child";
  cluster_channel::master_channel channel{{.executable = child, .nodes = 5}};
  cluster_channel::event_bus<hello::events> nodes{channel};

  auto answer = nodes.foo({21}).get();
  if (!answer) {
    std::cerr << cluster_channel::describe(answer.error()) << '\n';
    return 1;
  }
  std::cout << "foo(21) = " << answer->baz << '\n';
}
