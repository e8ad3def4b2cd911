// Which calls run out of time, and when an actor that watches them has to look.
//
// Plain values; the clock is the caller's. Not thread-safe.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace cluster_channel {

/// The deadlines of open calls, the earliest first: a binary heap. Adding and expiring are O(log n) whatever the mix of
/// deadlines. A call that ended is not searched for: its entries are skipped when they are due, or dropped by
/// `forget_answered`.
class deadline_queue {
public:
  using clock = std::chrono::steady_clock;

  /// Adds `call`, of which something runs out at `deadline`. A call may be added several times.
  void add(call_id call, clock::time_point deadline) {
    heap_.emplace_back(deadline, call);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  /// Takes out the call with the earliest deadline if that is not after `now`, be it answered meanwhile or not.
  std::optional<call_id> take_due(clock::time_point now) {
    return heap_.empty() || heap_.front().first > now ? std::nullopt : std::optional{take_front()};
  }

  /// The earliest deadline of a call of which `is_open(call)` is true; drops those before it.
  template <class IsOpen>
  std::optional<clock::time_point> next(IsOpen is_open) {
    while (!heap_.empty() && !is_open(heap_.front().second))
      take_front();
    return heap_.empty() ? std::nullopt : std::optional{heap_.front().first};
  }

  /// Drops the entries of which `is_open(call)` is false once there are far more entries than `open_calls`: so memory
  /// stays in proportion to the open calls, at a constant cost for each call.
  template <class IsOpen>
  void forget_answered(std::size_t open_calls, IsOpen is_open) {
    if (heap_.size() <= 2 * open_calls + 1024)
      return;
    std::erase_if(heap_, [&](const entry& x) { return !is_open(x.second); });
    std::make_heap(heap_.begin(), heap_.end(), later);
    if (heap_.capacity() > 4 * heap_.size() + 4096)
      heap_.shrink_to_fit();
  }

  std::size_t size() const noexcept { return heap_.size(); }

private:
  using entry = std::pair<clock::time_point, call_id>;

  /// Puts the earliest deadline to the front of the heap, and equal ones in the order of the calls.
  static constexpr auto later = std::greater<entry>{};

  call_id take_front() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const auto call = heap_.back().second;
    heap_.pop_back();
    return call;
  }

  std::vector<entry> heap_;
};

/// Decides when an actor sends itself a tick, so as to look at its deadlines.
///
/// A tick that is on its way cannot be taken back in CAF. So no tick is sent if one is on its way that comes in time,
/// and an earlier one is rounded down to one of four times an octave: however deadlines come, only a few dozen ticks
/// are on their way at a time, and each is sent once. A tick that comes too early leads to another one.
class tick_schedule {
public:
  using clock = std::chrono::steady_clock;

  /// The time at which a tick must be sent to arrive, so that one arrives at `next` at the latest; empty if one does.
  std::optional<clock::time_point> arm(clock::time_point now, clock::time_point next) {
    if (!ticks_.empty() && ticks_.back() <= next)
      return std::nullopt;
    ticks_.push_back(ticks_.empty() ? std::max(now, next) : rounded_down(now, next));
    return ticks_.back();
  }

  /// A tick has arrived.
  void ticked(clock::time_point now) {
    while (!ticks_.empty() && ticks_.back() <= now)
      ticks_.pop_back();
  }

  std::size_t on_their_way() const noexcept { return ticks_.size(); }

private:
  static clock::time_point rounded_down(clock::time_point now, clock::time_point next) {
    constexpr clock::duration exact_below = std::chrono::milliseconds{1};
    if (next - now < exact_below)
      return std::max(now, next);
    auto distance = static_cast<std::uint64_t>((next - now).count());
    const auto dropped_bits = std::bit_width(distance) - 3;
    distance = distance >> dropped_bits << dropped_bits;
    return now + clock::duration{static_cast<clock::rep>(distance)};
  }

  std::vector<clock::time_point> ticks_; // the latest first
};

} // namespace cluster_channel
