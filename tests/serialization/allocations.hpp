// Tells how much the code under test allocates, to prove that hostile lengths are refused before memory is taken.
#pragma once

#include <cstddef>

namespace cluster_channel::test {

/// Whether allocations are seen at all. ThreadSanitizer has its own `operator new`.
#ifdef CLUSTER_CHANNEL_UNDER_TSAN
inline constexpr bool allocations_are_seen = false;
#else
inline constexpr bool allocations_are_seen = true;
#endif

/// Watches this thread's `operator new` from its construction on.
class allocation_watch {
public:
  allocation_watch();

  /// The largest single allocation since then, in bytes.
  std::size_t largest() const;

  /// All allocations since then together, freed or not, in bytes.
  std::size_t total() const;
};

} // namespace cluster_channel::test
