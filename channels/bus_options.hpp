// The options of an event bus, with their defaults.
#pragma once

#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/channels/timers.hpp>

#include <caf/timespan.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace cluster_channel {

class channel;

struct bus_options {
  /// The far ends. A channel may be destroyed before or after the bus. Without any the bus is local.
  std::vector<channel*> channels{};

  /// Slots that this bus takes no part in: calling one fails with `event_ignored`, registering a handler throws
  /// std::logic_error. The far ends are told, and do not wait for this end when they call them. To have the compiler
  /// refuse them instead, name their whole declaration: `event_bus<events, ignoring<other_events>>`.
  std::vector<std::string> ignored_events{};

  /// How long a call may wait until every far end has a handler; a slot or call may have a limit of its own.
  caf::timespan wait_timeout = no_timeout;

  std::size_t buffer_calls_max = 1'000'000;              ///< calls waiting for that; beyond: `buffer_full`
  std::size_t buffer_bytes_max = std::size_t{256} << 20; ///< their encoded requests, in bytes; beyond: `buffer_full`

  /// What timeouts are measured with, shared for as long as the bus needs it; empty: a thread of the bus's own, which
  /// is started when it is needed.
  std::shared_ptr<timer_service> timers{};
};

} // namespace cluster_channel
