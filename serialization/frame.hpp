// Frames: how messages become bytes on a link and back. The format is in wire_format.md.
//
// No I/O, no threads: bytes in, messages out. A reader or writer belongs to one thread at a time.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace cluster_channel {

/// The protocol version this library speaks.
inline constexpr std::uint16_t protocol_version = 2;

/// Name of the payload codec of codec.hpp in a `hello`.
inline constexpr const char* binary_codec = "binary";

/// Default limit for one frame's body in bytes, both directions.
inline constexpr std::size_t default_frame_bytes_max = std::size_t{64} << 20;

/// The largest frame there is: its length has 32 bits.
inline constexpr std::size_t largest_frame_bytes = 0xFFFF'FFFF;

/// Most slots in one hello, and most names in one event list: a frame of nothing but empty names would take many times
/// its size in memory.
inline constexpr std::size_t frame_items_max = std::size_t{1} << 16;

/// Appends `msg` to `out` as one frame.
/// @returns an empty error, or `message_too_large` with `out` unchanged if the body would exceed
///          `frame_bytes_max` or the format's own limits: 65535 bytes for the name of a slot, parameter or codec,
///          `frame_items_max`, 2^32 - 1 bytes for a body.
caf::error write_frame(std::vector<char>& out, const message& msg, std::size_t frame_bytes_max);

/// Bytes of the frame that `write_frame` would append, if no limit forbids it.
std::size_t frame_size(const message& msg);

/// Joins bytes from a link into messages, however the bytes were split.
///
/// Nothing is allocated for a frame before its length was checked against the limit. After the first
/// error the reader stays in that error: a stream that lost its framing cannot be trusted again.
class frame_reader {
public:
  explicit frame_reader(std::size_t frame_bytes_max = default_frame_bytes_max);

  /// Takes in `data`; it is copied only as far as a frame is incomplete or not yet read.
  void feed(bytes_view data);

  /// The next whole message. Empty if more bytes are needed or the reader is in error.
  std::optional<message> next();

  /// The error that ended this stream, or empty: `protocol_error`. Its text says what was wrong and at which byte of
  /// the stream the bad frame starts. A hello's magic number is checked here; its version and codec are not, so that
  /// whoever compares them can name both sides.
  const caf::error& error() const noexcept { return error_; }

  /// Whether bytes of an incomplete frame are held, once `next` has returned empty: end of file now means a truncated
  /// frame. False after an error.
  bool mid_frame() const noexcept { return buffer_.size() != position_; }

private:
  std::optional<message> fail(std::string text);
  void give_back();

  std::size_t frame_bytes_max_;
  std::vector<std::byte> buffer_;
  std::size_t position_ = 0;   // first byte in buffer_ that is not read yet
  std::uint64_t consumed_ = 0; // bytes of the stream before buffer_[0]
  caf::error error_;
};

} // namespace cluster_channel
