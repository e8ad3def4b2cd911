// Work of a known length.
#pragma once

#include <cstdint>
#include <ctime>

namespace bench {

/// Uses so much CPU time of the calling thread: what other processes take meanwhile does not count.
inline void spin(std::uint32_t microseconds) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  for (const auto end = now() + std::int64_t{microseconds} * 1'000; now() < end;)
    ;
}

} // namespace bench
