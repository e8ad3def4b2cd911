// The event declaration that client and server share.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <string>

namespace tcp {

struct events {
  cluster_channel::slot<std::string, std::string> shout; ///< the server answers with capital letters
  cluster_channel::slot<int> served;                     ///< the server tells the client how often it has done that
};
BOOST_DESCRIBE_STRUCT(events, (), (shout, served))

} // namespace tcp
