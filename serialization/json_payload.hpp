// Payload bytes as JSON and back, by the description of their type. Not for users, who want json.hpp.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/type_description.hpp>

#include <boost/json/value.hpp>
#include <caf/error.hpp>
#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace cluster_channel {

/// Which integers JSON may carry.
enum class json_integers : std::uint8_t {
  all,  ///< whatever fits the type, as this library reads it back
  safe, ///< at most 2^53 - 1 either side of zero: what JavaScript, whose numbers are doubles, holds exactly
};

/// Deepest nesting of arrays and objects in one json_value.
inline constexpr std::size_t json_value_depth_max = 256;

/// Longest text of one json_value, in bytes.
inline constexpr std::size_t json_value_bytes_max = std::size_t{64} << 20;

/// Most values in one json_value, and in one message of Node's IPC: members, elements, and what contains them.
inline constexpr std::size_t json_values_max = std::size_t{1} << 22;

namespace detail {

/// JavaScript's Number.MAX_SAFE_INTEGER.
inline constexpr std::int64_t json_safe_integer_max = (std::int64_t{1} << 53) - 1;

template <class T>
constexpr bool is_safe_integer(T x) noexcept {
  if constexpr (std::is_signed_v<T>)
    return x >= -json_safe_integer_max && x <= json_safe_integer_max;
  else
    return x <= static_cast<std::uint64_t>(json_safe_integer_max);
}

template <class T>
std::string beyond_safe_integers(T x) {
  return std::to_string(x) + " is beyond 2^53 - 1, which JavaScript cannot hold exactly: send it as a string";
}

/// Bounds the work on one value: the alternatives of nested variants are tried one in another.
inline constexpr std::size_t json_steps_max = std::size_t{1} << 23;

/// Whether `text` is valid UTF-8: RFC 3629, so neither surrogates nor overlong forms.
bool is_utf8(std::string_view text) noexcept;

/// Members that an object may leave out, as JavaScript does with what is undefined.
inline bool may_be_missing(const type_description& type) noexcept {
  return type.kind == type_kind::optional || type.kind == type_kind::nothing;
}

/// How far bytes are trusted.
struct json_writer_limits {
  std::size_t depth_max = std::numeric_limits<std::size_t>::max();
  std::size_t empty_elements_max = std::numeric_limits<std::size_t>::max();
};

/// The JSON of the value that `data` stands for, or `bad_payload` that says why it has none and where, or that and
/// where the bytes are wrong. Thread-safe; throws std::bad_alloc only.
caf::expected<boost::json::value> json_of_payload(const type_description& type, bytes_view data, json_integers integers,
                                                  const json_writer_limits& limits);

/// The bytes of the value that `json` stands for, or `bad_payload` with the reason and the place. Thread-safe; throws
/// std::bad_alloc only. Recurses as deep as `json` does.
caf::expected<bytes> payload_of_json(const type_description& type, const boost::json::value& json,
                                     json_integers integers);

// -- json_value ---------------------------------------------------------------

/// Whether `x` is within the limits of a json_value; `bad_payload` if it is not.
caf::error check_json(const boost::json::value& x, json_integers integers);

/// Checks, and writes the text.
caf::error json_to_text(const boost::json::value& x, json_integers integers, std::string& text);

/// Reads the text, and checks.
caf::error json_from_text(std::string_view text, boost::json::value& x);

} // namespace detail

} // namespace cluster_channel
