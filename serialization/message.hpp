// The messages of the event bus as plain values: what travels over a channel, before any encoding.
//
// Not here: bytes (see frame.hpp) and payload types (see codec.hpp).
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/error.hpp>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace cluster_channel {

/// Correlates a response or error with its request; unique per channel and direction.
using call_id = std::uint64_t;

/// The parameter of a slot used without one.
inline constexpr const char* default_param = "$_DEFAULT_$";

/// One declared slot: its name and the structure of its types in words, e.g. `{bar: i32} -> {baz: i32}`.
/// An empty signature is unknown and matches every other.
struct slot_declaration {
  std::string name{};
  std::string signature{};
  friend bool operator==(const slot_declaration&, const slot_declaration&) = default;
};

/// Opens every link, in both directions, before any other message.
struct hello {
  std::uint16_t version = 0; ///< protocol version of the sender
  std::string codec{};       ///< payload codec of the sender, e.g. "binary"
  std::vector<slot_declaration> slots{};
  std::uint32_t frame_bytes_max = 0; ///< the largest body of a frame that the sender takes; 0: it does not say
  friend bool operator==(const hello&, const hello&) = default;
};

struct request {
  call_id id = 0;
  std::string slot{};
  std::string param = default_param;
  bytes data{};
  friend bool operator==(const request&, const request&) = default;
};

/// Slot and parameter are implied by the id; the binary form does not carry them.
struct response {
  call_id id = 0;
  bytes data{};
  friend bool operator==(const response&, const response&) = default;
};

/// Ends a call with a failure. The binary form carries code, text and stack of `what`; the rest is
/// known to the receiver or filled in by it.
struct error_message {
  call_id id = 0;
  failure what{};
  friend bool operator==(const error_message&, const error_message&) = default;
};

struct handler_registered {
  std::string slot{};
  std::string param = default_param;
  friend bool operator==(const handler_registered&, const handler_registered&) = default;
};

struct handler_unregistered {
  std::string slot{};
  std::string param = default_param;
  friend bool operator==(const handler_unregistered&, const handler_unregistered&) = default;
};

/// Slots that the sender ignores: calls to them need not wait for it.
struct event_list {
  std::vector<std::string> ignored{};
  friend bool operator==(const event_list&, const event_list&) = default;
};

/// Numbers the messages that one end sends in chunks; unique among those it has not ended yet.
using chunk_id_type = std::uint64_t;

/// A message follows in chunks, because it is too large to travel whole (see chunked_channel.hpp).
struct chunk_start {
  chunk_id_type chunk_id = 0;
  std::uint64_t size = 0; ///< bytes of all its chunks together
  friend bool operator==(const chunk_start&, const chunk_start&) = default;
};

/// The next part of a message.
struct chunk_data {
  chunk_id_type chunk_id = 0;
  bytes data{};
  friend bool operator==(const chunk_data&, const chunk_data&) = default;
};

/// The message is complete.
struct chunk_end {
  chunk_id_type chunk_id = 0;
  friend bool operator==(const chunk_end&, const chunk_end&) = default;
};

using message = std::variant<hello, request, response, error_message, handler_registered, handler_unregistered,
                             event_list, chunk_start, chunk_data, chunk_end>;

} // namespace cluster_channel
