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

#include <cluster_channel/serialization/type_description.hpp>

#include <functional>
#include <map>
#include <string>

namespace cluster_channel {

/// What the conversions of one slot need to know.
struct json_form {
  const type_description* request = nullptr;
  const type_description* response = nullptr;
};

/// By the slot's name.
using json_forms = std::map<std::string, json_form, std::less<>>;

/// That of a `slot<Request, Response>`.
template <class Request, class Response>
json_form json_form_of() {
  return {.request = &description_of<Request>(), .response = &description_of<Response>()};
}

} // namespace cluster_channel
