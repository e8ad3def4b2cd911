// The actor-system configuration this library runs best with; a program may use its own instead.
#pragma once

#include <caf/actor_system_config.hpp>

namespace cluster_channel {

/// Adds to `config` what the library needs: CAF's I/O module, the types and the names of errors of this library.
/// Every program that makes a `caf::actor_system` of its own and gives it to a channel must call this first.
void configure(caf::actor_system_config& config);

/// A configuration with `configure` applied and CAF's `sharing` scheduler. CAF's default, `stealing`, polls: an answer
/// to an idle program then waits for a poll interval, which was measured at three times the latency.
class actor_system_config : public caf::actor_system_config {
public:
  actor_system_config();
};

} // namespace cluster_channel
