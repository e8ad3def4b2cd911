// The master's end of the cluster channel: a pool of child processes behind one channel.
//
//   master_channel channel{{.executable = "./child", .nodes = 5}};
//   event_bus<events> bus{channel};
//
// The children may call the slots of the bus too: a handler here answers the child that asked, and a slot without
// response is an event, such as the progress of a running call.
//
// Owns the pool's supervisor actor, which holds the router, which routes to the child proxies. All functions are
// thread-safe. Nothing is launched before the first call unless `min_nodes` asks for it.
#pragma once

#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/pool_options.hpp>
#include <cluster_channel/channels/channel.hpp>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace cluster_channel {

namespace detail {
class master_pool;
}

/// Options of a master channel, for designated initialization.
using master_options = pool_options;

class master_channel final : public channel {
public:
  /// A pool with an actor system of its own.
  /// @throws std::invalid_argument whose text says which option is unusable and what to give instead (that of
  ///         `validate(options)`); nothing is launched then.
  explicit master_channel(master_options options);

  /// A pool in `system`, which must outlive it and have been configured with `configure` (actor_system_config.hpp).
  /// @throws std::invalid_argument as above, also if the system lacks CAF's I/O module.
  master_channel(caf::actor_system& system, master_options options);

  /// Closes with the options' `drain_timeout`, and says on stderr what it leaves behind. May run on any thread, as the
  /// last act of the program too. Inside a handler of the master's or a continuation it does not wait for the rest of
  /// that, and in `on_result` not for the closing either: a thread of the library goes on with it.
  ~master_channel() override;

  master_channel(const master_channel&) = delete;
  master_channel& operator=(const master_channel&) = delete;

  /// Takes no more calls, lets running and waiting ones finish for `drain_timeout` (then they fail with
  /// `channel_closed`), and stops the children: end of file, after `exit_grace` SIGTERM, after `term_grace` SIGKILL.
  /// Blocks until the last child was reaped, at the longest until `kill_grace` after SIGKILL. Router and supervisor end
  /// then. May be called again, from several threads, and by a handler of the master's. From inside an actor send
  /// `close_pool` to the supervisor instead, which does not block.
  /// @returns what it had to leave behind: processes that no signal ends, launches that are stuck.
  /// @throws std::logic_error on the thread of the event loop, as in `on_result`: it would wait for itself.
  pool_closed close(std::chrono::milliseconds drain_timeout);

  /// `close` with the options' `drain_timeout`.
  pool_closed close();

  /// The actor that takes raw `slot_request` messages.
  const caf::actor& router() const noexcept;

  /// The actor that takes `close_pool`.
  const caf::actor& supervisor() const noexcept;

  /// The actor system the pool runs in. CAF keeps a pointer to it on each thread that spawns an actor there, or has a
  /// scoped_actor: such threads, but for the one that destroys the channel, must end before that is destroyed.
  caf::actor_system& system() const noexcept;

  /// What the pool is doing; all zero when it is closed. Blocks for one message round trip; from inside an actor
  /// request `get_pool_stats` from the router instead.
  /// @throws std::logic_error on the thread of the event loop, as `close` does.
  pool_stats stats() const;

  /// Handlers of the bus for calls of the children run one after the other on a thread of the channel's own.
  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override;
  void undo_connect(const channel_listener& listener) override;

private:
  std::unique_ptr<detail::master_pool> pool_;
};

} // namespace cluster_channel
