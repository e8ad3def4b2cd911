// Any JSON value, as a payload or a part of one: for what other programs define, such as the body of a webhook, whose
// keys no C++ struct can have.
//
//   cluster_channel::slot<cluster_channel::json_value, cluster_channel::json_value> relay;
//   ... relay(boost::json::value{{"+1", 3}, {"private", true}}) ...
//
// In binary it travels as its text, in JSON as it is; in signatures it is `json`. CAF's messages carry it too. This
// header includes Boost.JSON, that of the slots does not.
#pragma once

#include <cluster_channel/serialization/json_payload.hpp>

#include <boost/json/value.hpp>
#include <caf/error.hpp>
#include <caf/meta/load_callback.hpp>
#include <caf/meta/type_name.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace cluster_channel {

/// What the value may be is checked when it is encoded and when it is decoded: at most `json_value_depth_max` levels,
/// `json_values_max` values, and `json_value_bytes_max` bytes as text; strings and keys in UTF-8; no infinity, no NaN.
/// A link to JavaScript also refuses integers beyond 2^53 - 1, as everywhere. Of a key that comes twice, the last one
/// counts. A missing member or `undefined` is no JSON value: for those there is std::optional<json_value>.
struct json_value {
  json_value() = default;
  json_value(boost::json::value x) : value(std::move(x)) {} // braces would make an array of it

  boost::json::value value; ///< `null` at first
  friend bool operator==(const json_value& a, const json_value& b) { return a.value == b.value; }
};

/// For CAF, and by it for the binary codec: a text.
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, json_value& x) {
  std::string text;
  caf::error problem;
  if constexpr (Inspector::reads_state)
    problem = detail::json_to_text(x.value, json_integers::all, text);
  const auto load = [&] { return detail::json_from_text(text, x.value); };
  if constexpr (!std::is_void_v<typename Inspector::result_type>)
    if (problem)
      return problem;
  return f(caf::meta::type_name("json"), text, caf::meta::load_callback(load));
}

namespace detail {

template <>
inline constexpr type_kind inspected_kind<json_value> = type_kind::json;

} // namespace detail

} // namespace cluster_channel
