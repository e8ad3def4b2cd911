// The restart decision: what to do after a child failed to start. The act is the supervisor's.
//
// A plain value without a clock: pauses are returned, not taken. Not thread-safe; one supervisor owns it.
#pragma once

#include <chrono>
#include <cstddef>
#include <variant>

namespace cluster_channel {

/// Exponential backoff: `initial`, twice that, … up to `longest`; after `failures_max` failures in a row, none of them
/// followed by a child that came up, the pool gives up.
struct backoff_options {
  std::chrono::milliseconds initial{100};
  std::chrono::milliseconds longest{5'000};
  std::size_t failures_max = 5;
};

struct restart_after {
  std::chrono::milliseconds pause{};
  friend bool operator==(const restart_after&, const restart_after&) = default;
};

struct give_up {
  std::size_t failures = 0; ///< how many starts failed in a row
  friend bool operator==(const give_up&, const give_up&) = default;
};

using restart_decision = std::variant<restart_after, give_up>;

class restart_policy {
public:
  explicit restart_policy(const backoff_options& options) : options_{options} {}

  /// A start failed; `permanent` if trying again cannot help (executable missing, say).
  /// After `give_up` the count starts anew: the next call to the pool tries again.
  restart_decision start_failed(bool permanent);

  /// A child came up: the failures before it no longer count.
  void start_succeeded() noexcept { failures_ = 0; }

private:
  backoff_options options_;
  std::size_t failures_ = 0;
};

} // namespace cluster_channel
