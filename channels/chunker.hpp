// Both directions of a chunked channel: splits what is sent, joins what is received. Thread-safe; no lock is held while
// anything else is called, so several threads may send their chunks at the same time.
#pragma once

#include <cluster_channel/channels/chunk_joiner.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>

namespace cluster_channel::detail {

class chunker {
public:
  explicit chunker(const chunk_options& options);
  chunker(const chunker&) = delete;
  chunker& operator=(const chunker&) = delete;

  /// Passes `msg` to `send_one`, whole or in chunks.
  /// @returns why it cannot be sent: its bounds, or the first error of `send_one`.
  caf::error send(message&& msg, const std::function<caf::error(message&&)>& send_one);

  /// Takes in a chunk; other messages are not for it.
  chunk_joiner::result receive(const message& chunk);

  /// Drops what is unfinished, in both directions.
  void link_down();

  // -- a watch over messages that stall ---------------------------------------
  // Whoever owns the chunker calls `check` every `stall_timeout` while it watches.

  /// @returns whether a watch is to begin: something is unfinished, and none watches yet.
  bool begin_watch();

  struct check_result {
    caf::error stalled;
    bool go_on = false; ///< whether to look again later
  };
  check_result check();

  caf::timespan stall_timeout() const noexcept { return options_.stall_timeout; }

private:
  caf::error split(const message& msg, const std::function<caf::error(message&&)>& send_one);
  caf::error begin_sending(std::size_t size);
  void end_sending(std::size_t size);

  const chunk_options options_;
  std::atomic<std::uint64_t> connection_{0}; // counts
  std::mutex mutex_;                         // for all below
  chunk_joiner joiner_;
  bool watched_ = false;
  chunk_id_type last_id_ = 0;
  std::size_t sending_ = 0;
  std::size_t sending_bytes_ = 0;
};

} // namespace cluster_channel::detail
