// The slots of lifetimes_program.cpp.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <string>

namespace lifetimes {

struct events {
  cluster_channel::slot<std::string, std::string> echo;
  cluster_channel::slot<std::string> note; // of a child to the master, while it echoes "note"
};
BOOST_DESCRIBE_STRUCT(events, (), (echo, note))

} // namespace lifetimes
