#include <cluster_channel/actors/detail/fork_mark.hpp>

#include <pthread.h>

namespace cluster_channel::detail {

std::atomic<unsigned> fork_mark::generation{0};

fork_mark::fork_mark() noexcept {
  // Without memory for the handler there is none, and copies are not told apart.
  [[maybe_unused]] static const int registered = ::pthread_atfork(
      nullptr, nullptr, +[] { generation.fetch_add(1, std::memory_order_relaxed); });
  made_in_ = generation.load(std::memory_order_relaxed);
}

} // namespace cluster_channel::detail
