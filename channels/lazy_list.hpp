// The lazy callbacks of one slot: told when a parameter gets its first handler and when it loses its last.
#pragma once

#include <cluster_channel/channels/serial_queue.hpp>

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace cluster_channel {

/// Told the parameter. Must not throw. An empty one is told nothing.
using lazy_callback = std::function<void(const std::string&)>;

namespace detail {

/// Thread-safe. Callbacks run one at a time, without a lock, so they may register handlers, cancel and call; what
/// changes meanwhile is told afterwards. Each `connect(param)` is followed by one `disconnect(param)` before the next.
class lazy_list {
public:
  class entry;
  using entry_ptr = std::shared_ptr<entry>;

  /// @param used_params gives the parameters that have handlers now, in ascending order.
  /// @param is_used says whether one does.
  lazy_list(std::function<std::vector<std::string>()> used_params, std::function<bool(const std::string&)> is_used)
      : used_params_{std::move(used_params)}, is_used_{std::move(is_used)} {}

  /// Adds callbacks, and connects them for the parameters that are used.
  entry_ptr add(lazy_callback connect, lazy_callback disconnect);

  /// Disconnects `which` from the parameters still in use, and forgets it. If a callback runs on another thread, that
  /// thread does it, perhaps after this has returned: waiting for it could be waiting for a callback that waits for us.
  void cancel(const entry_ptr& which);

  /// Whether `param` is used may have changed.
  void update(const std::string& param);

  bool empty() const noexcept { return count_.load() == 0; }

private:
  /// An entry to begin or to end, or a parameter to look at.
  struct step {
    entry_ptr which;
    bool ends = false;
    std::string param;
    friend auto operator<=>(const step&, const step&) = default;
  };

  void take(step next);
  std::vector<entry_ptr> entries() const;

  const std::function<std::vector<std::string>()> used_params_;
  const std::function<bool(const std::string&)> is_used_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, entry_ptr> entries_; // in the order in which they came
  std::uint64_t last_id_ = 0;
  std::atomic<std::size_t> count_{0};
  serial_queue<step> steps_;
};

} // namespace detail

} // namespace cluster_channel
