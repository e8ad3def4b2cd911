// What the nodes of cluster_channel are asked for here.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <cstdint>
#include <string>

namespace bench {

struct events {
  /// Answers with its request.
  cluster_channel::slot<std::string, std::string> echo;
  /// Answers after so many microseconds of CPU time.
  cluster_channel::slot<std::uint32_t> spin_us;
};
BOOST_DESCRIBE_STRUCT(events, (), (echo, spin_us))

} // namespace bench
