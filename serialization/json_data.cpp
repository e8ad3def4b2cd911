#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/json_data.hpp>
#include <cluster_channel/serialization/json_payload.hpp>

#include <exception>
#include <string>

namespace cluster_channel {

namespace {

caf::expected<bytes> value_from_json(const type_description& type, const json_data& data) {
  if (!data && !detail::may_be_missing(type))
    return make_error(errc::bad_payload, "the message has no data, a value was expected: JavaScript leaves out what is "
                                         "undefined");
  try {
    return detail::payload_of_json(type, data ? *data : boost::json::value(nullptr), json_integers::safe);
  } catch (const std::exception& ex) {
    return make_error(errc::bad_payload, ex.what());
  }
}

} // namespace

caf::expected<json_data> payload_to_json(const type_description& type, bytes_view data) {
  if (type.kind == type_kind::none)
    return json_data{};
  try {
    auto value = detail::json_of_payload(type, data, json_integers::safe,
                                         {.depth_max = decode_depth_max, .empty_elements_max = empty_elements_max});
    if (!value)
      return value.error();
    return json_data{std::move(*value)};
  } catch (const std::exception& ex) {
    return make_error(errc::bad_payload, std::string{"the value has no JSON form: "} + ex.what());
  }
}

caf::expected<bytes> request_from_json(const type_description& type, const json_data& data) {
  if (type.kind != type_kind::none)
    return value_from_json(type, data);
  if (!data || data->is_null())
    return bytes{};
  return make_error(errc::bad_payload, "a request without data was expected, " +
                                           std::string{boost::json::to_string(data->kind())} + " came");
}

caf::expected<bytes> response_from_json(const type_description& type, const json_data& data) {
  return type.kind == type_kind::none ? caf::expected<bytes>{bytes{}} : value_from_json(type, data);
}

} // namespace cluster_channel
