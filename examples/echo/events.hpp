// Slots to try a pool with, and to break it.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <cstdint>
#include <string>

namespace echo {

struct multiply_request {
  std::int64_t a = 0;
  std::int64_t b = 0;
};
BOOST_DESCRIBE_STRUCT(multiply_request, (), (a, b))

struct events {
  /// Answers with its request.
  cluster_channel::slot<std::string, std::string> echo;
  /// Answers with a * b; fails if that does not fit 64 bits.
  cluster_channel::slot<multiply_request, std::int64_t> multiply;
  /// Always fails, with the request as its text.
  cluster_channel::slot<std::string> fail;
  /// Answers after so many milliseconds, blocking its node.
  cluster_channel::slot<std::uint32_t> sleep_ms;
  /// Raises the signal of that number in the child.
  cluster_channel::slot<std::int32_t> crash;
};
BOOST_DESCRIBE_STRUCT(events, (), (echo, multiply, fail, sleep_ms, crash))

/// Registers the handlers of all slots.
void serve_echo(events& bus);

} // namespace echo
