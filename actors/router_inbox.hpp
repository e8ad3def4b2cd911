// The way from the callers' threads to a router: a list that anyone may push onto and the router takes as a whole.
//
// Only a push onto an empty list needs a message to wake the router, so a burst of calls costs one message. What stands
// in the list counts against the bounds of the pool's buffer like what waits in the router: a flood is refused on the
// threads that cause it. Thread-safe, without locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

namespace cluster_channel {

/// Something that can be on its way to a router. It keeps itself alive meanwhile.
class inbox_item {
public:
  enum class kind : std::uint8_t { call, broadcast, other };

  explicit inbox_item(kind what) noexcept : kind_{what} {}
  inbox_item(const inbox_item&) = delete;
  inbox_item& operator=(const inbox_item&) = delete;
  virtual ~inbox_item() = default;

  kind what() const noexcept { return kind_; }

private:
  friend class inbox_batch;
  friend class router_inbox;

  const kind kind_;
  std::size_t bytes_ = 0;            // what it counts for
  inbox_item* next_ = nullptr;       // while it is on its way
  std::shared_ptr<inbox_item> self_; // the same
};

/// What a router has taken and not handled yet, the oldest first. Drops, and so ends, what is left. Not thread-safe.
class inbox_batch {
public:
  inbox_batch() = default;
  inbox_batch(inbox_batch&& other) noexcept
      : first_{std::exchange(other.first_, nullptr)},
        size_{std::exchange(other.size_, 0)},
        bytes_{std::exchange(other.bytes_, 0)} {}
  inbox_batch& operator=(inbox_batch&& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~inbox_batch() {
    while (next())
      ; // dropping an item ends it
  }

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return bytes_; }

  /// Takes out the oldest item; null if there is none.
  std::shared_ptr<inbox_item> next() noexcept {
    if (!first_)
      return nullptr;
    auto result = std::move(first_->self_);
    first_ = std::exchange(result->next_, nullptr);
    --size_;
    bytes_ -= result->bytes_;
    return result;
  }

private:
  friend class router_inbox;
  inbox_item* first_ = nullptr;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

class router_inbox {
public:
  /// The bounds of what is on its way, waits and runs together, see `pool_options`: `calls_max` counts what all nodes
  /// could run too. The router itself bounds what waits to the letter.
  struct limits {
    std::size_t calls_max = std::numeric_limits<std::size_t>::max();
    std::size_t bytes_max = std::numeric_limits<std::size_t>::max();
  };

  enum class outcome : std::uint8_t {
    pushed, ///< the router is awake, or will be
    wake,   ///< pushed; the caller has to wake the router
    full,   ///< too much is on its way, or waits; the item was not taken
    closed, ///< the router has ended; the item was not taken
  };

  router_inbox() = default;
  explicit router_inbox(limits most) : limits_{most} {}
  router_inbox(const router_inbox&) = delete;
  router_inbox& operator=(const router_inbox&) = delete;
  ~router_inbox() { close(); }

  /// Hands over `item`, which counts for `size` if `bounded`. It is moved from only if it was taken.
  template <class Item>
  outcome push(std::shared_ptr<Item>& item, std::size_t size, bool bounded) noexcept {
    if (bounded && is_full())
      return outcome::full;
    auto* const raw = static_cast<inbox_item*>(item.get());
    raw->bytes_ = size;
    raw->self_ = std::move(item);
    on_way_calls_.fetch_add(1, std::memory_order_relaxed);
    on_way_bytes_.fetch_add(size, std::memory_order_relaxed);
    auto* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed_tag()) {
        take_off(1, size);
        item = std::static_pointer_cast<Item>(std::move(raw->self_));
        return outcome::closed;
      }
      raw->next_ = head;
    } while (!head_.compare_exchange_weak(head, raw, std::memory_order_release, std::memory_order_relaxed));
    return head == nullptr ? outcome::wake : outcome::pushed;
  }

  /// Takes all that was pushed; it counts as being on its way until `arrived`.
  inbox_batch take() noexcept {
    auto* head = head_.load(std::memory_order_relaxed);
    if (head == nullptr || head == closed_tag())
      return {};
    return oldest_first(head_.exchange(nullptr, std::memory_order_acquire));
  }

  /// So much of what was taken is counted by `waiting` from now on, or has ended.
  void arrived(std::size_t calls, std::size_t size) noexcept { take_off(calls, size); }

  /// What waits in the router, or runs at its nodes, now.
  void waiting(std::size_t calls, std::size_t size) noexcept {
    waiting_calls_.store(calls, std::memory_order_relaxed);
    waiting_bytes_.store(size, std::memory_order_relaxed);
  }

  /// Takes no more from now on, and drops what is on its way.
  void close() noexcept {
    auto* head = head_.exchange(closed_tag(), std::memory_order_acquire);
    if (head != nullptr && head != closed_tag())
      oldest_first(head);
  }

  bool closed() const noexcept { return head_.load(std::memory_order_relaxed) == closed_tag(); }

private:
  /// Stands for a closed list; never dereferenced.
  inbox_item* closed_tag() const noexcept { return const_cast<end_item*>(&end_); }

  bool is_full() const noexcept {
    return on_way_calls_.load(std::memory_order_relaxed) + waiting_calls_.load(std::memory_order_relaxed) >=
               limits_.calls_max ||
           on_way_bytes_.load(std::memory_order_relaxed) + waiting_bytes_.load(std::memory_order_relaxed) >
               limits_.bytes_max;
  }

  void take_off(std::size_t calls, std::size_t size) noexcept {
    on_way_calls_.fetch_sub(calls, std::memory_order_relaxed);
    on_way_bytes_.fetch_sub(size, std::memory_order_relaxed);
  }

  inbox_batch oldest_first(inbox_item* newest) noexcept {
    inbox_batch result;
    while (newest != nullptr) {
      auto* const older = std::exchange(newest->next_, result.first_);
      ++result.size_;
      result.bytes_ += newest->bytes_;
      result.first_ = newest;
      newest = older;
    }
    return result;
  }

  /// Its address is that of no item.
  class end_item final : public inbox_item {
  public:
    end_item() noexcept : inbox_item{kind::other} {}
  };

  const end_item end_;
  const limits limits_{};
  // Each on a cache line of its own: callers write the first three, the router the others.
  alignas(64) std::atomic<inbox_item*> head_{nullptr}; // the newest
  std::atomic<std::size_t> on_way_calls_{0};
  std::atomic<std::size_t> on_way_bytes_{0};
  alignas(64) std::atomic<std::size_t> waiting_calls_{0};
  std::atomic<std::size_t> waiting_bytes_{0};
};

} // namespace cluster_channel
