// Payload types as JSON, by Boost.JSON: numbers, strings, bool, containers, optional, variant and described structs.
//
// A described struct is an object with all of its members and no others; an empty optional is `null`.
#pragma once

#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/type_traits.hpp>

#include <boost/json.hpp>
#include <caf/expected.hpp>

#include <exception>
#include <string>

namespace cluster_channel {

/// `value` as JSON. Thread-safe.
template <class T>
boost::json::value to_json(const T& value) {
  return boost::json::value_from(value);
}

/// The value that `json` stands for, or `bad_payload` with the reason. Thread-safe.
template <class T>
caf::expected<T> from_json(const boost::json::value& json) {
  try {
    auto result = boost::json::try_value_to<T>(json);
    if (result)
      return std::move(*result);
    return make_error(errc::bad_payload, "the JSON does not fit the type: " + result.error().message());
  } catch (const std::exception& ex) { // user-defined conversions may throw
    return make_error(errc::bad_payload, std::string{"the JSON does not fit the type: "} + ex.what());
  }
}

} // namespace cluster_channel
