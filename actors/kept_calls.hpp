// The calls for one child that has not registered their handlers yet, and cannot say that it has none.
//
// ts-event-bus drops a request without a handler silently, so a call must not reach a node of Node's before its handler
// is there: the router looks only at the pool as a whole. A child has a while to register; after that a call without a
// handler fails at once.
// A plain value, not thread-safe; the proxy owns the one of its node.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace cluster_channel {

class kept_calls {
public:
  enum class verdict : std::uint8_t {
    goes,       ///< send it
    waits,      ///< `keep` it
    ignored,    ///< the child said that it ignores the slot
    no_handler, ///< the child had its time, and has none
  };

  verdict look_at(const request& call) const;

  void keep(request call);

  /// What the child said of its handlers: `handler_registered`, `handler_unregistered`, `event_list`; others change
  /// nothing.
  void learn(const message& msg);

  /// The child had its time.
  void stop_waiting();

  /// Takes out the kept calls that need not wait any more, in order of their ids; `look_at` says of each what to do.
  std::deque<request> take_decided();

private:
  using key = std::pair<std::string, std::string>; // slot, parameter
  using calls_by_key = std::map<key, std::vector<request>>;

  /// @returns what follows in kept_.
  calls_by_key::iterator release(calls_by_key::iterator pos);

  std::set<key> registered_;
  std::set<std::string> ignored_;
  calls_by_key kept_;
  std::deque<request> decided_;
  bool waiting_ = true;
};

} // namespace cluster_channel
