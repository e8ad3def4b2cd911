// Parses one JSON text from a far end: on Boost.JSON, with two things that its own `parse` of version 1.81 lacks.
//
// Numbers are exact: Boost's differ from the nearest double in the last bit for about one fraction in ten. And the
// number of values is bounded, as a few bytes of JSON can take twenty times their size in memory.
#pragma once

#include <boost/json/value.hpp>
#include <caf/expected.hpp>

#include <cstddef>
#include <string_view>

namespace cluster_channel::detail {

struct json_limits {
  std::size_t depth_max;
  std::size_t values_max;
};

/// @returns the value, or `protocol_error` with the reason. Thread-safe.
caf::expected<boost::json::value> parse_json(std::string_view text, const json_limits& limits);

} // namespace cluster_channel::detail
