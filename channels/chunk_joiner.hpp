// Joins chunks into messages. Pure: chunks in, messages or errors out; no clock, no thread of its own.
//
// Chunks are not trusted: the announced size is checked against the bounds and then believed only as far as the chunks
// go. After an error what still comes of that message is dropped without another one. docs/design.md has the states.
#pragma once

#include <cluster_channel/channels/chunk_options.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace cluster_channel::detail {

class chunk_joiner {
public:
  /// Without a message and an error more chunks are needed.
  struct result {
    std::optional<message> joined;
    caf::error error; ///< `protocol_error`
  };

  explicit chunk_joiner(const chunk_options& options) : options_{options} {}

  result receive(const chunk_start& chunk);
  result receive(const chunk_data& chunk);
  result receive(const chunk_end& chunk);

  /// Drops what is unfinished.
  void link_down();

  /// Drops each message of which nothing came since the last call of this function. @returns an error if there is one.
  caf::error drop_stalled();

  /// Whether a message is unfinished.
  bool is_open() const noexcept { return !open_.empty(); }

private:
  struct partial {
    explicit partial(std::uint64_t bytes, std::size_t frame_bytes_max) : size{bytes}, frame{frame_bytes_max} {}
    std::uint64_t size;         // announced
    std::uint64_t received = 0; // of it
    bool moved = true;          // since the last look at what stalls
    frame_reader frame;
  };
  using partials = std::map<chunk_id_type, partial>;

  result refuse(chunk_id_type id, const std::string& why);
  partial remove(partials::iterator pos);

  const chunk_options options_;
  partials open_;
  std::uint64_t open_bytes_ = 0;    // announced for those
  std::set<chunk_id_type> refused_; // until their end comes
};

} // namespace cluster_channel::detail
