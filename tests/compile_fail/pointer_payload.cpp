#include <cluster_channel/channels/event_bus.hpp>

cluster_channel::slot<int*, int> slot;
