// Spawns actors on a thread of the user's without leaving traces on it.
//
// CAF keeps a pointer to the logger of a system on each thread that spawned an actor in it, and a system cannot be
// destroyed as long as one of them has that pointer.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/logger.hpp>

#include <thread>

namespace cluster_channel::detail {

/// @returns what `spawn` returns, which spawns in `system`.
template <class F>
auto spawn_cleanly(caf::actor_system& system, const F& spawn) {
  const auto* before = caf::logger::current_logger();
  if (before == &system.logger())
    return spawn();
  if (!before) {
    struct forget_system {
      ~forget_system() { caf::logger::set_current_actor_system(nullptr); }
    } const afterwards;
    return spawn();
  }
  // The pointer is to the logger of another system, and could not be put back.
  decltype(spawn()) result;
  std::thread{[&] { result = spawn(); }}.join();
  return result;
}

} // namespace cluster_channel::detail
