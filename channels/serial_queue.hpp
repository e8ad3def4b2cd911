// Work that is done piece by piece in order, by whichever thread finds nobody else doing it.
#pragma once

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

namespace cluster_channel::detail {

/// Keys whose state is to be looked at anew. A key that waits already is not added again, so the queue never holds more
/// than there are keys. No lock is held while one is looked at: that may add keys, which are done afterwards.
/// Thread-safe; must outlive every `add`.
template <class Key>
class serial_queue {
public:
  /// Adds `key` and, unless a thread is at it (this one included), calls `look(key)` for every key until none is left.
  /// `look` must not throw.
  template <class F>
  void add(Key key, F look) noexcept {
    std::unique_lock guard{mutex_};
    if (std::find(keys_.begin(), keys_.end(), key) == keys_.end())
      keys_.push_back(std::move(key));
    if (std::exchange(busy_, true))
      return;
    while (!keys_.empty()) {
      const auto next = std::move(keys_.front());
      keys_.pop_front();
      guard.unlock();
      look(next);
      guard.lock();
    }
    busy_ = false;
  }

private:
  std::mutex mutex_;
  std::deque<Key> keys_;
  bool busy_ = false;
};

} // namespace cluster_channel::detail
