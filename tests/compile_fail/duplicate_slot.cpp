#include "events.hpp"

struct more_events {
  cluster_channel::slot<int, int> foo; // as in events
};
BOOST_DESCRIBE_STRUCT(more_events, (), (foo))

cluster_channel::event_bus<cluster_channel::combined_events<events, more_events>> bus;
