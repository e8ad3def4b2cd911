// Payload types as JSON, by Boost.JSON: bool, numbers, strings, sequences, sets, maps with string keys, arrays, pairs
// and tuples, std::optional, std::variant, std::monostate, described enums, and described structs without bases. Others
// (structs with bases, maps with other keys, durations, caf::optional, std::byte, types that only have a CAF `inspect`)
// do not compile unless the user gives them Boost.JSON's `tag_invoke` functions. A slot's `void` is the caller's
// affair.
//
// What Boost.JSON 1.81 makes of them:
// - A described struct is an object with exactly its members: one missing and one too many are errors, and so is a
//   missing optional, which is spelled `null`.
// - A map is an object; of a key that comes twice, the last one counts.
// - A described enum is its enumerator's name. An enum that is not described does not compile.
// - A variant is the JSON of its value alone; reading takes the first alternative that fits. Alternatives that look the
//   same in JSON, such as `int` and `long`, do not come back as they went.
// - A number that the type cannot hold exactly is an error: 300 for a std::uint8_t, 1.5 for an int.
// - JSON has no infinity and no NaN.
#pragma once

#include <cluster_channel/serialization/error.hpp>

#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <caf/expected.hpp>

#include <exception>
#include <new>
#include <string>

namespace cluster_channel {

/// `value` as JSON. Thread-safe. Throws what a user's conversion throws.
template <class T>
boost::json::value to_json(const T& value) {
  return boost::json::value_from(value);
}

/// The value that `json` stands for, or `bad_payload` with the reason. Thread-safe. Throws nothing but std::bad_alloc.
/// Recurses as deep as `json` does; Boost's parser allows 32 levels unless told otherwise.
template <class T>
caf::expected<T> from_json(const boost::json::value& json) {
  std::string problem;
  try {
    auto result = boost::json::try_value_to<T>(json);
    if (result)
      return std::move(*result);
    problem = result.error().message();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& ex) {
    problem = ex.what();
  } catch (...) {
    problem = "an exception of unknown type";
  }
  return make_error(errc::bad_payload, "the JSON does not fit the type: " + problem);
}

} // namespace cluster_channel
