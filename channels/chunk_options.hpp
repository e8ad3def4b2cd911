// The options of a chunked channel, with their defaults. Both ends of a link best have the same: what one end sends
// within its bounds, the other takes.
#pragma once

#include <caf/error.hpp>
#include <caf/timespan.hpp>

#include <chrono>
#include <cstddef>

namespace cluster_channel {

/// What is held of unfinished messages is bounded by `open_bytes_max`, in each direction.
struct chunk_options {
  /// A message with a larger frame is split, into chunks of so many bytes and one that may be smaller. The frame of a
  /// chunk is 13 bytes larger than the chunk.
  std::size_t chunk_size = std::size_t{64} << 10;

  /// The largest message in bytes, its frame's length included; beyond: `message_too_large`.
  std::size_t message_bytes_max = std::size_t{64} << 20;

  /// Messages that are sent in chunks at the same time, by several threads; beyond: `buffer_full`.
  std::size_t chunks_open_max = 1000;

  /// Their bytes together; beyond: `buffer_full`.
  std::size_t open_bytes_max = std::size_t{256} << 20;

  /// A message of which nothing more comes for this long, or for up to twice as long, is an error.
  caf::timespan stall_timeout = std::chrono::seconds{30};
};

/// @returns `invalid_options`, with a text that names the option, or an empty error.
caf::error validate(const chunk_options& options);

} // namespace cluster_channel
