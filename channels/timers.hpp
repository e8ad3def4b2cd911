// Functions that run later: what the bus and its channels measure time limits with.
//
// Make one service for several buses, or one in virtual time for tests, and give it to them in `bus_options::timers`.
#pragma once

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace cluster_channel {

/// Runs functions one at a time, in the order in which they are due, those due at the same time in the order in which
/// they were scheduled. Thread-safe; functions may schedule and cancel too, and may release the service itself. One
/// that runs long holds up the others. Nothing bounds their number: whoever schedules for each call bounds the calls.
class timer_service {
public:
  using timer_id = std::uint64_t; // 0 is never the id of a timer

  /// What has not run by then never will.
  virtual ~timer_service() = default;

  /// Runs `f` after `delay`, measured on a monotonic clock, and never from within: as soon as possible if `delay` is
  /// not positive, not at all if it is `no_timeout`. `f` must not throw; it is destroyed when it has run or was
  /// cancelled.
  virtual timer_id schedule(caf::timespan delay, std::function<void()> f) = 0;

  /// Takes a timer back. No effect if it has run, runs right now, or was cancelled: it does not wait for a function
  /// that runs, so what `f` uses must be kept alive by `f`, or be held weakly.
  virtual void cancel(timer_id timer) noexcept = 0;
};

/// Timers on a thread of their own, started by the first `schedule`, which throws std::system_error if the system has
/// no thread left, and in a forked copy of the process. Destroying the service waits for a function that runs, unless
/// that is what destroys it.
std::shared_ptr<timer_service> make_timer_thread();

/// Timers in an actor of `system`, by the clock of that system: in virtual time under CAF's test coordinator. `system`
/// must outlive the service. Destroying the service does not wait for a function that runs.
std::shared_ptr<timer_service> make_actor_timers(caf::actor_system& system);

} // namespace cluster_channel
