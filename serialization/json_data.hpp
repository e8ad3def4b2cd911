// The payloads of messages as JSON and back: what json_form.hpp says. All functions are thread-safe; they fail with
// `bad_payload` and throw nothing.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/type_description.hpp>

#include <boost/json/value.hpp>
#include <caf/expected.hpp>

#include <optional>

namespace cluster_channel {

/// The `data` of a message; empty: it has none.
using json_data = std::optional<boost::json::value>;

/// Of a request or response.
caf::expected<json_data> payload_to_json(const type_description& type, bytes_view data);

caf::expected<bytes> request_from_json(const type_description& type, const json_data& data);

caf::expected<bytes> response_from_json(const type_description& type, const json_data& data);

} // namespace cluster_channel
