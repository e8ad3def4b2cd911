// The payloads of one slot between the binary form, in which the library keeps them, and JSON.
//
// A link that speaks JSON (node_ipc.hpp) converts at its very end, so that callers, handlers, routers and raw messages
// know nothing of it, and one pool can have nodes of both kinds. Integers are `json_integers::safe`, as the far end is
// JavaScript. What it leaves out, a message without data, is `undefined`:
//
// - `void` is sent as no data. A request is read from no data and `null`, and anything else is an error; a response is
//   read from anything, as functions of JavaScript return what they like.
// - An optional and `std::monostate` are read from no data and `null`.
// - For other types no data is an error.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/json.hpp>

#include <boost/json/value.hpp>

#include <exception>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace cluster_channel {

/// The `data` of a message; empty: it has none.
using json_data = std::optional<boost::json::value>;

/// Conversions for one slot; all are thread-safe, and fail with `bad_payload` and nothing else: they throw nothing.
struct json_form {
  caf::expected<json_data> (*request_to_json)(const bytes& data) = nullptr;
  caf::expected<bytes> (*request_from_json)(const json_data& data) = nullptr;
  caf::expected<json_data> (*response_to_json)(const bytes& data) = nullptr;
  caf::expected<bytes> (*response_from_json)(const json_data& data) = nullptr;
};

/// By the slot's name.
using json_forms = std::map<std::string, json_form, std::less<>>;

namespace detail {

template <class T>
caf::expected<json_data> payload_to_json(const bytes& data) {
  if constexpr (std::is_void_v<T>) {
    return json_data{};
  } else {
    try {
      auto value = decode<T>(data);
      if (!value)
        return value.error();
      return json_data{to_json(*value, json_integers::safe)};
    } catch (const std::exception& ex) {
      return make_error(errc::bad_payload, std::string{"the value has no JSON form: "} + ex.what());
    } catch (...) {
      return make_error(errc::bad_payload, "the value has no JSON form: an exception of unknown type");
    }
  }
}

template <class T>
caf::expected<bytes> payload_from_json(const json_data& data) {
  if (!data && !may_be_missing<T>)
    return make_error(errc::bad_payload, "the message has no data, a value was expected: JavaScript leaves out what is "
                                         "undefined");
  try {
    auto value = from_json<T>(data ? *data : boost::json::value(nullptr), json_integers::safe);
    if (!value)
      return value.error();
    return encode(*value);
  } catch (const std::exception& ex) {
    return make_error(errc::bad_payload, ex.what());
  } catch (...) {
    return make_error(errc::bad_payload, "an exception of unknown type");
  }
}

template <class T>
caf::expected<bytes> request_from_json(const json_data& data) {
  if constexpr (!std::is_void_v<T>)
    return payload_from_json<T>(data);
  else if (!data || data->is_null())
    return bytes{};
  else
    return make_error(errc::bad_payload, "a request without data was expected, " +
                                             std::string{boost::json::to_string(data->kind())} + " came");
}

template <class T>
caf::expected<bytes> response_from_json(const json_data& data) {
  if constexpr (std::is_void_v<T>)
    return bytes{};
  else
    return payload_from_json<T>(data);
}

} // namespace detail

/// The conversions of a `slot<Request, Response>`.
template <class Request, class Response>
json_form json_form_of() {
  return {.request_to_json = detail::payload_to_json<Request>,
          .request_from_json = detail::request_from_json<Request>,
          .response_to_json = detail::payload_to_json<Response>,
          .response_from_json = detail::response_from_json<Response>};
}

} // namespace cluster_channel
