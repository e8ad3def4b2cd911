// What the writer and the reader of frames share. Internal; the format is in wire_format.md.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cluster_channel::detail {

static_assert(std::endian::native == std::endian::little, "integers are written as they lie in memory");

/// Opens the body of a hello, after its type: the far end speaks this protocol at all.
inline constexpr std::string_view magic = "CLCH";

/// The first version whose hello says what its sender takes.
inline constexpr std::uint16_t version_with_limit = 2;

/// Bytes of the length before each body.
inline constexpr std::size_t length_bytes = sizeof(std::uint32_t);

enum class frame_type : std::uint8_t {
  hello = 1,
  request = 2,
  response = 3,
  error = 4,
  handler_registered = 5,
  handler_unregistered = 6,
  event_list = 7,
  chunk_start = 8,
  chunk_data = 9,
  chunk_end = 10,
};

} // namespace cluster_channel::detail
