#include <cluster_channel/channels/event_bus.hpp>

struct events {
  int foo;
};
BOOST_DESCRIBE_STRUCT(events, (), (foo))

cluster_channel::event_bus<events> bus;
