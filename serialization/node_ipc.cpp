#include <cluster_channel/serialization/json_data.hpp>
#include <cluster_channel/serialization/json_parser.hpp>
#include <cluster_channel/serialization/json_payload.hpp>
#include <cluster_channel/serialization/node_ipc.hpp>

#include <boost/json.hpp>

#include <charconv>
#include <type_traits>
#include <utility>

namespace cluster_channel {

namespace {

namespace json = boost::json;

/// A read buffer beyond this is given back when it is empty, in bytes.
constexpr std::size_t kept_buffer_bytes = std::size_t{1} << 20;

std::string_view view(const json::string& x) {
  return {x.data(), x.size()};
}

/// The string named `name`; null if there is none.
const json::string* text_in(const json::object& msg, std::string_view name) {
  const auto* found = msg.if_contains(name);
  return found ? found->if_string() : nullptr;
}

/// A message without a parameter is for the default one.
std::string param_in(const json::object& msg) {
  const auto* param = text_in(msg, "param");
  return param ? std::string{view(*param)} : std::string{default_param};
}

json_data data_in(const json::object& msg) {
  const auto* data = msg.if_contains("data");
  return data ? json_data{*data} : json_data{};
}

/// The id of a request of ours, which ts-event-bus repeats as it was sent; empty if it is none.
std::optional<call_id> id_in(const json::object& msg) {
  const auto* id = text_in(msg, "id");
  if (!id)
    return std::nullopt;
  call_id result = 0;
  const auto* end = id->data() + id->size();
  const auto [rest, ec] = std::from_chars(id->data(), end, result);
  return ec == std::errc{} && rest == end ? std::optional{result} : std::nullopt;
}

/// An error must get through, whatever bytes a handler put into its text.
std::string valid_utf8(const std::string& text) {
  if (detail::is_utf8(text))
    return text;
  std::string result;
  for (const char c : text)
    result += static_cast<unsigned char>(c) < 0x80 ? c : '?';
  return result;
}

caf::error check_param(const std::string& param) {
  return detail::is_utf8(param) ? caf::error{} : make_error(errc::bad_payload, "the parameter is no valid UTF-8");
}

bool is_nodes_own(const json::object& msg) {
  const auto* cmd = text_in(msg, "cmd");
  return cmd && view(*cmd).substr(0, 5) == "NODE_";
}

json::object addressed(std::string_view type, const std::string& slot, const std::string& param) {
  json::object result;
  result["type"] = type;
  result["slotName"] = slot;
  result["param"] = param;
  return result;
}

} // namespace

std::unique_ptr<link_codec> make_json_link_codec(std::size_t message_bytes_max, json_forms_source forms) {
  return std::make_unique<json_link_codec>(message_bytes_max, std::move(forms));
}

json_link_codec::json_link_codec(std::size_t message_bytes_max, json_forms_source forms)
    : message_bytes_max_{message_bytes_max}, source_{std::move(forms)} {
  // nop
}

const json_form* json_link_codec::form_of(std::string_view slot) const {
  if (!forms_)
    forms_ = source_();
  if (!forms_)
    return nullptr;
  auto pos = forms_->find(slot);
  return pos == forms_->end() ? nullptr : &pos->second;
}

// -- writing ------------------------------------------------------------------

caf::error json_link_codec::write(std::vector<char>& out, const message& msg) {
  return std::visit(
      [&](const auto& x) -> caf::error {
        using type = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<type, request>) {
          return write_request(out, x);
        } else if constexpr (std::is_same_v<type, response>) {
          return write_response(out, x);
        } else if constexpr (std::is_same_v<type, error_message>) {
          return write_error(out, x);
        } else if constexpr (std::is_same_v<type, handler_registered>) {
          return write_registration(out, "handler_registered", x.slot, x.param);
        } else if constexpr (std::is_same_v<type, handler_unregistered>) {
          return write_registration(out, "handler_unregistered", x.slot, x.param);
        } else if constexpr (std::is_same_v<type, event_list>) {
          json::array names;
          for (const auto& name : x.ignored)
            names.emplace_back(name);
          json::object list;
          list["type"] = "event_list";
          list["ignoredEvents"] = std::move(names);
          return append(out, list);
        } else if constexpr (std::is_same_v<type, hello>) {
          return {}; // Node knows none
        } else {
          return make_error(errc::protocol_error, "Node's IPC carries no chunks, it has no need of them");
        }
      },
      msg);
}

caf::error json_link_codec::append(std::vector<char>& out, const json::object& msg) const {
  const auto line = json::serialize(msg);
  if (line.size() > message_bytes_max_)
    return make_error(errc::message_too_large, "the message has " + std::to_string(line.size()) +
                                                   " bytes as JSON, frame_bytes_max is " +
                                                   std::to_string(message_bytes_max_));
  out.insert(out.end(), line.begin(), line.end());
  out.push_back('\n');
  return {};
}

caf::error json_link_codec::write_request(std::vector<char>& out, const request& msg) {
  const auto* form = form_of(msg.slot);
  if (!form)
    return make_error(errc::bad_payload,
                      "slot " + msg.slot + " has no JSON form: the event_bus of this channel does not declare it");
  if (auto err = check_param(msg.param))
    return err;
  auto data = payload_to_json(*form->request, msg.data);
  if (!data)
    return data.error();
  auto line = addressed("request", msg.slot, msg.param);
  line["id"] = std::to_string(msg.id);
  if (*data)
    line["data"] = std::move(**data);
  if (auto err = append(out, line))
    return err;
  asked_.insert_or_assign(msg.id, msg.slot);
  if (asked_.size() > json_asked_max) // calls that ran out of time, to which nobody will answer
    asked_.erase(asked_.begin());
  return {};
}

/// The slot of our request `id`, which is answered now; empty if it was answered before, or never asked.
std::optional<std::string> json_link_codec::take_asked(call_id id) {
  auto asked = asked_.extract(id);
  return asked.empty() ? std::nullopt : std::optional{std::move(asked.mapped())};
}

caf::error json_link_codec::write_registration(std::vector<char>& out, std::string_view type, const std::string& slot,
                                               const std::string& param) const {
  if (auto err = check_param(param))
    return err;
  return append(out, addressed(type, slot, param));
}

caf::error json_link_codec::write_response(std::vector<char>& out, const response& msg) {
  auto pos = open_.find(msg.id);
  if (pos == open_.end())
    return {}; // answered before
  const auto& open = pos->second;
  auto line = addressed("response", open.slot, open.param);
  line["id"] = open.id;
  if (const auto* form = form_of(open.slot)) {
    auto data = payload_to_json(*form->response, msg.data);
    if (!data)
      return data.error();
    if (*data)
      line["data"] = std::move(**data);
  }
  if (auto err = append(out, line))
    return err;
  open_.erase(pos);
  return {};
}

caf::error json_link_codec::write_error(std::vector<char>& out, const error_message& msg) {
  auto open = open_.extract(msg.id);
  if (open.empty())
    return {};
  auto line = addressed("error", open.mapped().slot, open.mapped().param);
  line["id"] = open.mapped().id;
  line["message"] = valid_utf8(msg.what.text);
  line["stack"] = valid_utf8(msg.what.stack);
  if (!append(out, line))
    return {};
  // Whoever asked must hear that it failed, if not why.
  line["message"] = "the call failed, and what it says of that is too large to be sent";
  line["stack"] = "";
  return append(out, line);
}

// -- reading ------------------------------------------------------------------

void json_link_codec::feed(bytes_view data) {
  if (error_)
    return;
  if (position_ >= buffer_.size() - position_) {
    buffer_.erase(0, position_);
    searched_ -= position_;
    position_ = 0;
  }
  buffer_ += as_text(data);
}

std::optional<message> json_link_codec::next(std::vector<char>& replies) {
  while (!error_) {
    const auto end = buffer_.find('\n', searched_);
    const auto bytes = (end == std::string::npos ? buffer_.size() : end) - position_;
    if (bytes > message_bytes_max_)
      return fail("a line of more than frame_bytes_max, " + std::to_string(message_bytes_max_) + " bytes");
    if (end == std::string::npos) {
      searched_ = buffer_.size();
      return std::nullopt;
    }
    const auto line = std::string_view{buffer_}.substr(position_, bytes);
    position_ = searched_ = end + 1;
    auto result = read_line(line, replies);
    if (position_ == buffer_.size() && buffer_.capacity() > kept_buffer_bytes) {
      std::string{}.swap(buffer_);
      position_ = searched_ = 0;
    }
    if (result)
      return result;
  }
  return std::nullopt;
}

std::optional<message> json_link_codec::read_line(std::string_view line, std::vector<char>& replies) {
  const auto parsed = detail::parse_json(line, {.depth_max = json_depth_max, .values_max = json_values_max});
  if (!parsed)
    return fail("a line that is no JSON of ours (" + failure_of(parsed.error()).text + ")");
  const auto* msg = parsed->if_object();
  if (!msg)
    return std::nullopt;
  const auto* type = text_in(*msg, "type");
  if (is_nodes_own(*msg)) {
    if (view(*text_in(*msg, "cmd")) == "NODE_HANDLE")
      static_cast<void>(append(replies, {{"cmd", "NODE_HANDLE_NACK"}}));
    return std::nullopt;
  }
  if (!type)
    return std::nullopt;
  const auto kind = view(*type);
  if (kind == "event_list")
    return read_event_list(*msg);
  if (kind == "chunk_start" || kind == "chunk_data" || kind == "chunk_end")
    return fail("a chunk: use no ChunkedChannel on Node's IPC");
  const auto is_registration = kind == "handler_registered" || kind == "handler_unregistered";
  if (!is_registration && kind != "request" && kind != "response" && kind != "error")
    return std::nullopt;
  const auto* slot = text_in(*msg, "slotName");
  if (!slot)
    return std::nullopt; // something else of the child's that has such a type
  for (const auto* name : {slot, text_in(*msg, "param"), text_in(*msg, "id")})
    if (name && name->size() > json_name_bytes_max)
      return fail("a name of more than " + std::to_string(json_name_bytes_max) + " bytes");
  if (kind == "handler_registered")
    return handler_registered{std::string{view(*slot)}, param_in(*msg)};
  if (kind == "handler_unregistered")
    return handler_unregistered{std::string{view(*slot)}, param_in(*msg)};
  if (kind == "request")
    return read_request(*msg, replies);
  return kind == "response" ? read_response(*msg) : read_error(*msg);
}

std::optional<message> json_link_codec::read_request(const json::object& msg, std::vector<char>& replies) {
  const auto* id = msg.if_contains("id");
  if (!id || !(id->is_string() || id->is_number()))
    return fail("a request without an id");
  request result{++last_open_, std::string{view(*text_in(msg, "slotName"))}, param_in(msg), {}};
  open_.emplace(result.id, open_request{result.slot, result.param, *id});
  if (const auto* form = form_of(result.slot)) { // else there is no such slot, as whoever handles it will say
    auto data = request_from_json(*form->request, data_in(msg));
    if (!data) {
      static_cast<void>(write_error(replies, {result.id, failure_of(data.error())}));
      return std::nullopt;
    }
    result.data = std::move(*data);
  }
  return result;
}

std::optional<message> json_link_codec::read_response(const json::object& msg) {
  const auto id = id_in(msg);
  if (!id)
    return std::nullopt; // none of ours: like a late answer
  // The slot that was asked, whichever it says that it answers.
  const auto slot = take_asked(*id).value_or(std::string{view(*text_in(msg, "slotName"))});
  const auto* form = form_of(slot);
  if (!form)
    return error_message{*id, {.code = errc::bad_payload, .text = "slot " + slot + " has no JSON form"}};
  auto data = response_from_json(*form->response, data_in(msg));
  if (!data)
    return error_message{*id, failure_of(data.error())};
  return response{*id, std::move(*data)};
}

std::optional<message> json_link_codec::read_error(const json::object& msg) {
  const auto id = id_in(msg);
  if (!id)
    return std::nullopt;
  static_cast<void>(take_asked(*id));
  const auto* text = text_in(msg, "message");
  const auto* stack = text_in(msg, "stack");
  return error_message{*id,
                       {.code = errc::handler_failed,
                        .text = text ? std::string{view(*text)} : "the handler failed, and said no more",
                        .stack = stack ? std::string{view(*stack)} : std::string{}}};
}

std::optional<message> json_link_codec::read_event_list(const json::object& msg) {
  const auto* names = msg.if_contains("ignoredEvents");
  const auto* list = names ? names->if_array() : nullptr;
  if (!list)
    return std::nullopt; // something else of the child's
  if (list->size() > frame_items_max)
    return fail("an event_list of more than " + std::to_string(frame_items_max));
  event_list result;
  for (const auto& name : *list) {
    if (!name.is_string())
      return fail("an event_list with something that is no name");
    result.ignored.emplace_back(view(name.get_string()));
  }
  return result;
}

std::optional<message> json_link_codec::fail(std::string text) {
  error_ = make_error(errc::protocol_error, std::move(text));
  std::string{}.swap(buffer_);
  position_ = searched_ = 0;
  return std::nullopt;
}

} // namespace cluster_channel
