#include <cluster_channel/channels/event_bus.hpp>

struct events {
  cluster_channel::slot<int, int> foo;
};

cluster_channel::event_bus<events> bus;
