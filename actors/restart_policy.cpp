#include <cluster_channel/actors/restart_policy.hpp>

#include <algorithm>

namespace cluster_channel {

restart_decision restart_policy::start_failed(bool permanent) {
  ++failures_;
  if (permanent || failures_ >= options_.failures_max) {
    const give_up result{failures_};
    failures_ = 0;
    return result;
  }
  auto pause = options_.initial;
  for (std::size_t i = 1; i < failures_ && pause < options_.longest; ++i)
    pause += std::min(pause, options_.longest - pause);
  return restart_after{std::min(pause, options_.longest)};
}

} // namespace cluster_channel
