// How a slot is called: what its declaration says, and what one call says.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <caf/timespan.hpp>

#include <string>

namespace cluster_channel {

/// Options of a slot, given in its declaration: `slot<foo_request, foo_response> foo{{.no_buffer = true}};`
struct slot_options {
  /// A call goes out at once, instead of waiting until every far end has registered a handler for it.
  bool no_buffer = false;

  /// A call to a far end that is not connected makes the channel connect again, if it can; so does answering one.
  bool auto_reconnect = true;

  caf::timespan timeout = caf::timespan::zero();      ///< see call_options; zero: the channel's own
  caf::timespan wait_timeout = caf::timespan::zero(); ///< see call_options; zero: the bus's own
};

/// Subdivides a slot: handlers of one parameter see only the calls for that parameter.
struct parameter {
  std::string value = default_param;
};

/// Options of one call. A time of zero means: as the slot's declaration says, or else the channel or the bus.
struct call_options {
  parameter param = {};

  /// From hand-over to the channel to the answer; `no_timeout` switches it off. For local handlers, which no channel
  /// limits, from the call on. A pool is handed the call at once and keeps it while no node is free or has a handler.
  caf::timespan timeout = caf::timespan::zero();

  /// How long it may wait until every far end has registered a handler, and then, in a pool, for a node.
  caf::timespan wait_timeout = caf::timespan::zero();

  /// How long it may run once it was handed to a node of a pool, or to the far end of another channel.
  caf::timespan run_timeout = caf::timespan::zero();
};

} // namespace cluster_channel
