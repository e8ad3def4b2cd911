// Tells a bus what the nodes of a pool announce, no faster than the bus takes it in.
//
// A handler of the master's may be busy for long while children register and unregister handlers in a loop. So only so
// much is on its way; of what changes meanwhile it keeps, for each handler, whether the bus was told last that there is
// one: as many as there are handlers, however often they change. A plain value, not thread-safe; the router owns it.
#pragma once

#include <cluster_channel/actors/flow_window.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/registration_table.hpp>

#include <functional>
#include <map>
#include <set>
#include <string>

namespace cluster_channel {

class bus_feed {
public:
  using send_function = std::function<void(pool_announcement&&)>;

  /// @param send hands on to the bus, in order.
  /// @param on_room called by any thread when `send_more` has something to do; must not throw.
  bus_feed(send_function send, std::function<void()> on_room,
           flow_window::limits most = {.messages = 1024, .bytes = std::size_t{1} << 20});

  /// The pool has a handler from now on, or has none: each is to follow the other.
  void changed(const handler_key& key, bool registered);

  /// A node ignores these slots.
  void ignored(const event_list& list);

  /// Sends what could not be sent before, as far as there is room.
  void send_more();

  /// What waits to be sent.
  std::size_t waiting() const noexcept { return handlers_.size() + ignored_.size(); }

private:
  bool may_send();
  void send(message what, std::size_t bytes);
  void send(const handler_key& key, bool registered);

  send_function send_;
  flow_window window_;
  std::map<handler_key, bool> handlers_; // of those the bus was told the contrary
  std::set<std::string> ignored_;
  std::size_t ignored_bytes_ = 0;
};

} // namespace cluster_channel
