// Byte buffers and views shared by every room.
//
// A payload is an encoded request or response body; nothing outside the codecs looks inside one.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cluster_channel {

/// An owned run of bytes.
using bytes = std::vector<std::byte>;

/// A borrowed run of bytes; valid only as long as what it was made from.
using bytes_view = std::span<const std::byte>;

/// Views the characters of `text` as bytes. The result borrows from `text`.
inline bytes_view as_bytes_view(std::string_view text) noexcept {
  return std::as_bytes(std::span{text.data(), text.size()});
}

/// Views `data` as characters. The result borrows from `data`.
inline std::string_view as_text(bytes_view data) noexcept {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

} // namespace cluster_channel
