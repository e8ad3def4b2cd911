// Times that a user gave, made fit for a clock: adding the largest of them must not overflow.
#pragma once

#include <caf/timespan.hpp>

#include <algorithm>
#include <chrono>

namespace cluster_channel::detail {

/// The longest time that a clock is asked for: beyond any program, and far from what a clock can count.
inline constexpr caf::timespan delay_max = std::chrono::hours{24 * 365 * 100};

/// `time`, from nothing to `delay_max`: for everything that adds it to a clock.
template <class Rep, class Period>
constexpr caf::timespan as_delay(std::chrono::duration<Rep, Period> time) noexcept {
  using given = std::chrono::duration<Rep, Period>;
  if (time <= given::zero())
    return caf::timespan::zero();
  return time < std::chrono::duration_cast<given>(delay_max) ? std::chrono::ceil<caf::timespan>(time) : delay_max;
}

/// `time` from `start`, or the end of time.
inline std::chrono::steady_clock::time_point after(std::chrono::steady_clock::time_point start,
                                                   caf::timespan time) noexcept {
  constexpr auto end = std::chrono::steady_clock::time_point::max();
  return time < end - start ? start + std::max(time, caf::timespan::zero()) : end;
}

} // namespace cluster_channel::detail
