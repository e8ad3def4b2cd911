// Functions that run later.
#pragma once

#include <caf/fwd.hpp>
#include <caf/timespan.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace cluster_channel {

class timer_service {
public:
  using timer_id = std::uint64_t; // 0 is never the id of a timer
  virtual ~timer_service() = default;
  virtual timer_id schedule(caf::timespan delay, std::function<void()> f) = 0;
  virtual void cancel(timer_id timer) noexcept = 0;
};

std::shared_ptr<timer_service> make_timer_thread();
std::shared_ptr<timer_service> make_actor_timers(caf::actor_system& system);

} // namespace cluster_channel
