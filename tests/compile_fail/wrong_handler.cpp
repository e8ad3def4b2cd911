#include "events.hpp"
#include <string>

void use(cluster_channel::event_bus<events>& bus) {
  bus.foo.on([](const foo_request&) { return std::string{"no foo_response"}; });
}
