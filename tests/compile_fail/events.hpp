// What the programs beside this file get wrong.
#pragma once

#include <cluster_channel/channels/event_bus.hpp>

#include <boost/describe.hpp>

struct foo_request {
  int bar = 0;
};
BOOST_DESCRIBE_STRUCT(foo_request, (), (bar))

struct foo_response {
  int baz = 0;
};
BOOST_DESCRIBE_STRUCT(foo_response, (), (baz))

struct events {
  cluster_channel::slot<foo_request, foo_response> foo;
};
BOOST_DESCRIBE_STRUCT(events, (), (foo))
