// Node's IPC: one JSON value a line, as `process.send` and `process.on('message')` of Node 20 speak it in
// serialization mode `json` (https://nodejs.org/docs/latest-v20.x/api/child_process.html), with the messages of
// ts-event-bus in it.
//
// What is not the bus's is skipped: values without a `type` and a `slotName` as ts-event-bus has them (a child may use
// `process.send` for other things too), and Node's own messages, whose `cmd` begins with `NODE_`. A handle that Node
// wants to pass is refused (NODE_HANDLE_NACK), as it would otherwise wait for an answer and send nothing more.
//
// No hello: Node does not know it, so nothing compares the types of the two ends. Every payload is checked instead, and
// one that does not fit fails its own call. A line that is no JSON, a message of the bus with fields it cannot have,
// and what is beyond the limits below end the link: `protocol_error`.
#pragma once

#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/json_payload.hpp>
#include <cluster_channel/serialization/link_codec.hpp>

#include <boost/json/value.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace cluster_channel {

/// Name of the environment variable that tells a child of Node the number of its IPC descriptor.
inline constexpr const char* node_fd_variable = "NODE_CHANNEL_FD";

/// The variable that names its serialization mode, and the only mode this library speaks.
inline constexpr const char* node_mode_variable = "NODE_CHANNEL_SERIALIZATION_MODE";
inline constexpr const char* node_mode_json = "json";

/// Deepest nesting of one message: twice what a payload may have in C++, as a map may take two levels, and the message.
inline constexpr std::size_t json_depth_max = 2 * decode_depth_max + 8;

/// Requests of ours that are remembered until they are answered; beyond, the oldest are forgotten.
inline constexpr std::size_t json_asked_max = 1'000'000;

/// Longest name of a slot, parameter or id, in bytes; as in a frame.
inline constexpr std::size_t json_name_bytes_max = 65'535;

class json_link_codec final : public link_codec {
public:
  /// See make_json_link_codec.
  json_link_codec(std::size_t message_bytes_max, json_forms_source forms);

  caf::error write(std::vector<char>& out, const message& msg) override;
  void limit_writes(std::size_t) override {} // Node says nothing of its limits
  void feed(bytes_view data) override;
  std::optional<message> next(std::vector<char>& replies) override;
  const caf::error& error() const noexcept override { return error_; }
  bool mid_message() const noexcept override { return !error_ && position_ < buffer_.size(); }
  bool has_hello() const noexcept override { return false; }

private:
  /// A request of the far end that is not answered yet: what its answer repeats.
  struct open_request {
    std::string slot;
    std::string param;
    boost::json::value id;
  };

  const json_form* form_of(std::string_view slot) const;
  caf::error append(std::vector<char>& out, const boost::json::object& msg) const;
  caf::error write_request(std::vector<char>& out, const request& msg);
  caf::error write_registration(std::vector<char>& out, std::string_view type, const std::string& slot,
                                const std::string& param) const;
  caf::error write_response(std::vector<char>& out, const response& msg);
  caf::error write_error(std::vector<char>& out, const error_message& msg);

  std::optional<message> read_line(std::string_view line, std::vector<char>& replies);
  std::optional<message> read_request(const boost::json::object& msg, std::vector<char>& replies);
  std::optional<message> read_response(const boost::json::object& msg);
  std::optional<message> read_error(const boost::json::object& msg);
  std::optional<std::string> take_asked(call_id id);
  std::optional<message> read_event_list(const boost::json::object& msg);
  std::optional<message> fail(std::string text);

  const std::size_t message_bytes_max_;
  const json_forms_source source_;
  mutable std::shared_ptr<const json_forms> forms_; // what the source gave, once it gave something
  std::map<call_id, open_request> open_;            // the far end's own ids are strings
  std::map<call_id, std::string> asked_;            // slots of our requests that the far end has not answered
  call_id last_open_ = 0;
  std::string buffer_;
  std::size_t position_ = 0; // first byte in buffer_ that is not read yet
  std::size_t searched_ = 0; // no line ends between position_ and this
  caf::error error_;
};

} // namespace cluster_channel
