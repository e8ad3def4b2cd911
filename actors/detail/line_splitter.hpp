// Cuts a stream of bytes into lines. Bounded: a line longer than the limit comes in pieces.
#pragma once

#include <cluster_channel/actors/detail/guarded.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace cluster_channel::detail {

class line_splitter {
public:
  explicit line_splitter(std::size_t line_bytes_max) : line_bytes_max_{line_bytes_max} {}

  /// Calls `on_line(std::string_view)` for every line that ends in `data`, without its newline.
  template <class OnLine>
  void feed(std::string_view data, OnLine&& on_line) {
    while (!data.empty()) {
      const auto room = line_bytes_max_ - partial_.size();
      const auto end = data.substr(0, room + 1).find('\n');
      if (end == std::string_view::npos && data.size() <= room) {
        until_there_is_memory([&] { partial_ += data; });
        return;
      }
      const auto size = std::min(end, room);
      if (partial_.empty()) {
        on_line(data.substr(0, size));
      } else {
        until_there_is_memory([&] { partial_ += data.substr(0, size); });
        on_line(std::string_view{std::exchange(partial_, {})});
      }
      data.remove_prefix(size + (end == std::string_view::npos ? 0 : 1));
    }
  }

  /// Calls `on_line` for what came after the last newline, if anything.
  template <class OnLine>
  void finish(OnLine&& on_line) {
    if (!partial_.empty())
      on_line(std::string_view{std::exchange(partial_, {})});
  }

private:
  std::size_t line_bytes_max_;
  std::string partial_;
};

} // namespace cluster_channel::detail
