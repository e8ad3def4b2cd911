// Two channels in one process, each the far end of the other: connects two buses without a socket.
//
//   local_channel_pair link{system};
//   event_bus<events> here{link.first()}, there{link.second()};
//
// Messages travel as mail of two actors, so neither end ever runs the other's handlers inside its own calls; under
// CAF's test coordinator everything happens in virtual time. A handler runs in the actor that brings its end the mail:
// it must not wait (`get`) for an answer over the same pair. Requests and responses are encoded as on any other
// channel.
#pragma once

#include <cluster_channel/channels/generic_channel.hpp>

#include <caf/actor_system.hpp>

#include <memory>
#include <mutex>

namespace cluster_channel {

/// What a pair does when it is not told to do anything else: it is connected from the start.
struct local_channel_options {
  caf::timespan timeout = std::chrono::seconds{5}; ///< of calls that have none of their own
  bool connected = true;                           ///< from the start
  bool reconnects = false;                         ///< a call on an end connects the two again
};

/// Thread-safe. `system` must outlive the pair; a bus may outlive it.
class local_channel_pair {
public:
  explicit local_channel_pair(caf::actor_system& system, local_channel_options options = {});
  local_channel_pair(const local_channel_pair&) = delete;
  local_channel_pair& operator=(const local_channel_pair&) = delete;

  /// What is on its way is dropped; calls under way fail with `channel_closed`.
  ~local_channel_pair();

  generic_channel& first() noexcept;
  generic_channel& second() noexcept;

  /// Connects the two ends; no effect if they are.
  void connect();

  /// Disconnects the two ends; what is on its way is lost. No effect if they are not connected.
  void disconnect();

  /// Reports an error on both ends.
  void fail(const caf::error& why);

private:
  class end;
  class link;

  std::shared_ptr<link> link_;
};

} // namespace cluster_channel
