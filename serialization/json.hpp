// Payload types as JSON, on Boost.JSON's values: what travels between C++ and JavaScript, and what people read.
//
// - `bool`: `true`, `false`.
// - Integers: numbers. One that is no integer or does not fit the type is an error, never rounded;
//   `json_integers::safe` also refuses what is beyond 2^53 - 1.
// - `float`, `double`: numbers. Infinities and NaN are errors, as JSON has none.
// - `std::string`: strings. Bytes that are no UTF-8 are an error.
// - Enums described with BOOST_DESCRIBE_ENUM: the enumerator's name. Other enums: their number.
// - Described structs, bases included: objects with exactly its members, by the names that describe.hpp may give them.
// One missing (unless optional) or one too many
//   is an error.
// - `std::optional`, `caf::optional`, `std::unique_ptr`, `std::shared_ptr`: the value, or `null`; a missing member is
// empty too. `std::monostate`: `null`.
// - Sequences, sets, arrays, pairs, tuples: arrays. For `std::byte` and `unsigned char` also what Node's Buffer becomes
//   by `JSON.stringify`.
// - Maps: objects if the keys are strings; of a key that comes twice, the last one counts. Other maps, and multimaps:
//   arrays of pairs.
// - `std::variant`: the JSON of its value alone; reading takes the first alternative that fits.
// - `json_value`: what it holds. Its integers are bounded by `json_integers` too.
// - Durations: the count. Points of time: the count since the clock's epoch. Paths: strings.
// - Types with a `payload_adapter`: the JSON of what they travel as.
// - Types with Boost.JSON's `tag_invoke`: what that says.
//
// All this holds at any depth. A type that only has a CAF `inspect` has no JSON form. A slot's `void` is the caller's
// affair (json_form.hpp).
#pragma once

#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/json_payload.hpp>

#include <boost/json/value.hpp>
#include <caf/expected.hpp>

#include <cstddef>
#include <limits>
#include <stdexcept>
#include <utility>

namespace cluster_channel {

/// `value` as JSON. Thread-safe.
/// @throws std::range_error that says what has no JSON form and where; what `encode` throws.
template <class T>
boost::json::value to_json(const T& value, json_integers integers = json_integers::all) {
  auto result = detail::json_of_payload(description_of<T>(), encode(value), integers, {});
  if (!result)
    throw std::range_error{failure_of(result.error()).text};
  return std::move(*result);
}

/// The value that `json` stands for, or `bad_payload` with the reason and the place. Thread-safe. Throws nothing but
/// std::bad_alloc. Recurses as deep as `json` does; Boost's parser allows 32 levels unless told otherwise.
template <class T>
caf::expected<T> from_json(const boost::json::value& json, json_integers integers = json_integers::all) {
  const auto data = detail::payload_of_json(description_of<T>(), json, integers);
  if (!data)
    return data.error();
  return detail::decode_nested<T>(*data, std::numeric_limits<std::size_t>::max());
}

} // namespace cluster_channel
