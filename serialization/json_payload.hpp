// Payload bytes as JSON and back, by the description of their type. Not for users, who want json.hpp.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/type_description.hpp>

#include <boost/json/value.hpp>
#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace cluster_channel {

/// Which integers JSON may carry.
enum class json_integers : std::uint8_t {
  all,  ///< whatever fits the type, as this library reads it back
  safe, ///< at most 2^53 - 1 either side of zero: what JavaScript, whose numbers are doubles, holds exactly
};

namespace detail {

/// JavaScript's Number.MAX_SAFE_INTEGER.
inline constexpr std::int64_t json_safe_integer_max = (std::int64_t{1} << 53) - 1;

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

} // namespace detail

} // namespace cluster_channel
