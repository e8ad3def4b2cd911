#include <cluster_channel/serialization/json_payload.hpp>

#include <cstddef>
#include <cstdint>

namespace cluster_channel::detail {

bool is_utf8(std::string_view text) noexcept {
  const auto byte_at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const auto first = byte_at(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || text.size() - i <= more)
      return false;
    // The second byte's range rules out overlong forms, surrogates and what is beyond U+10FFFF.
    const auto second = byte_at(i + 1);
    const auto least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const auto most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (second < least || second > most)
      return false;
    for (std::size_t k = 2; k <= more; ++k)
      if ((byte_at(i + k) & 0xC0U) != 0x80U)
        return false;
    i += more + 1;
  }
  return true;
}

} // namespace cluster_channel::detail
