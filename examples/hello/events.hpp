// The event declaration that master and child share.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

namespace hello {

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

} // namespace hello
