// How messages travel over the link of one node: as binary frames, or as Node's IPC (node_ipc.hpp).
//
// No I/O, no threads: bytes in, messages out. A codec belongs to one link, and to one thread at a time.
#pragma once

#include <cluster_channel/serialization/frame.hpp>
#include <cluster_channel/serialization/json_form.hpp>
#include <cluster_channel/serialization/message.hpp>

#include <caf/error.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace cluster_channel {

/// The language of a link.
enum class message_codec : std::uint8_t {
  binary, ///< this library's own frames, for children in C++
  json,   ///< Node's IPC, for children in JavaScript with ts-event-bus
};

class link_codec {
public:
  virtual ~link_codec() = default;

  /// Appends `msg` to `out`. @returns why that message cannot be sent, with `out` unchanged.
  virtual caf::error write(std::vector<char>& out, const message& msg) = 0;

  /// The far end said that it takes no message of more than `bytes_max`: `write` refuses those too from now on.
  virtual void limit_writes(std::size_t bytes_max) = 0;

  /// Takes in what came.
  virtual void feed(bytes_view data) = 0;

  /// The next whole message. Empty if more bytes are needed or the codec is in error. What the codec itself has to
  /// answer is appended to `replies`, for the caller to send.
  virtual std::optional<message> next(std::vector<char>& replies) = 0;

  /// The error that ended this stream, or empty: `protocol_error`.
  virtual const caf::error& error() const noexcept = 0;

  /// Whether an incomplete message is held, once `next` has returned empty.
  virtual bool mid_message() const noexcept = 0;

  /// Whether both ends say hello before anything else.
  virtual bool has_hello() const noexcept = 0;
};

/// @param message_bytes_max bounds one message, in both directions.
std::unique_ptr<link_codec> make_binary_link_codec(std::size_t message_bytes_max);

/// The slots whose payloads can be converted; null as long as they are not known. Called by the codec's thread.
using json_forms_source = std::function<std::shared_ptr<const json_forms>()>;

std::unique_ptr<link_codec> make_json_link_codec(std::size_t message_bytes_max, json_forms_source forms);

} // namespace cluster_channel
