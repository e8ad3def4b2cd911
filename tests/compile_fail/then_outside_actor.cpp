#include <caf/scoped_actor.hpp>

#include "events.hpp"

void use(cluster_channel::event_bus<events>& bus, caf::blocking_actor* self) {
  bus.foo({1}).then(
      self, [](foo_response&) {}, [](caf::error&) {});
}
