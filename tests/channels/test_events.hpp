// Slots of every shape, for the tests of the bus.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <string>
#include <vector>

namespace cluster_channel {

struct sum_request {
  int a = 0;
  int b = 0;
};
BOOST_DESCRIBE_STRUCT(sum_request, (), (a, b))

struct sum_response {
  int sum = 0;
};
BOOST_DESCRIBE_STRUCT(sum_response, (), (sum))

struct test_events {
  slot<sum_request, sum_response> add;
  slot<std::string, std::string> echo;
  slot<std::string> log; // void response
  slot<void, int> count; // void request
  slot<void> ping;       // both
  slot<std::vector<int>, std::vector<int>> sort;
};
BOOST_DESCRIBE_STRUCT(test_events, (), (add, echo, log, count, ping, sort))

} // namespace cluster_channel
