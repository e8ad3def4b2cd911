// Work that is done piece by piece in order, by whichever thread finds nobody else doing it.
#pragma once

#include <list>
#include <mutex>
#include <set>
#include <utility>

namespace cluster_channel::detail {

/// Keys whose state is to be looked at anew. A key that waits already is not added again, so the queue never holds more
/// than there are keys. No lock is held while one is looked at or destroyed: that may add keys, which are done
/// afterwards. Thread-safe; must outlive every `add`.
template <class Key>
class serial_queue {
public:
  /// Adds `key` and, unless a thread is at it (this one included), calls `look(key)` for every key until none is left.
  /// `look` must not throw.
  template <class F>
  void add(Key key, F look) noexcept {
    keys entry; // made and destroyed without the lock
    entry.push_back(std::move(key));
    std::unique_lock guard{mutex_};
    if (index_.insert(&entry.front()).second)
      keys_.splice(keys_.end(), entry);
    if (std::exchange(busy_, true))
      return unlock_and_drop(guard, entry);
    while (!keys_.empty()) {
      keys next;
      next.splice(next.end(), keys_, keys_.begin());
      index_.erase(&next.front());
      guard.unlock();
      look(std::as_const(next.front()));
      next.clear();
      guard.lock();
    }
    busy_ = false;
    unlock_and_drop(guard, entry);
  }

private:
  using keys = std::list<Key>;

  struct less {
    bool operator()(const Key* x, const Key* y) const { return *x < *y; }
  };

  static void unlock_and_drop(std::unique_lock<std::mutex>& guard, keys& entry) {
    guard.unlock();
    entry.clear();
  }

  std::mutex mutex_;
  keys keys_;
  std::set<const Key*, less> index_; // of those in `keys_`
  bool busy_ = false;
};

} // namespace cluster_channel::detail
