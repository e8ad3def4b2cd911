#include "events.hpp"

void use(cluster_channel::event_bus<events>& bus) {
  bus.foo.on([](const foo_request& x) { return foo_response{x.bar}; });
  static_cast<void>(bus.foo({1}));
}
