#include "events.hpp"
#include <string>

void use(cluster_channel::event_bus<events>& bus) {
  static_cast<void>(bus.foo(std::string{"no foo_request"}));
}
