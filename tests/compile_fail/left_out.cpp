#include "events.hpp"

struct forgetful_request {
  int bar = 0;
  int forgotten[3] = {};
};
BOOST_DESCRIBE_STRUCT(forgetful_request, (), (bar))

struct forgetful_events {
  cluster_channel::slot<foo_request, foo_response> foo;
  cluster_channel::slot<forgetful_request> forgotten;
};
BOOST_DESCRIBE_STRUCT(forgetful_events, (), (foo))

cluster_channel::event_bus<forgetful_events> bus;
const auto data = cluster_channel::encode(forgetful_request{});
