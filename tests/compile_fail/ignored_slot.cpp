#include "events.hpp"

struct more_events {
  cluster_channel::slot<int, int> more;
};
BOOST_DESCRIBE_STRUCT(more_events, (), (more))

using some = cluster_channel::event_bus<cluster_channel::combined_events<events, more_events>,
                                        cluster_channel::ignoring<more_events>>;

void use(some& bus) {
  static_cast<void>(bus.foo({1}));
  static_cast<void>(bus.more(1));
}
