// What stands behind a master_channel: the pool's actors, its process host, and the thread that makes and ends them.
//
// Every wait here has a bound, or is for a thread of the user's; and nothing here leaves traces of CAF on a thread of
// the user's (see pool_thread.hpp). In a forked copy of the process, see fork_mark.hpp, nothing is done at all.
#pragma once

#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/pool_options.hpp>
#include <cluster_channel/actors/router_inbox.hpp>
#include <cluster_channel/channels/channel.hpp>
#include <cluster_channel/channels/courier.hpp>
#include <cluster_channel/channels/pool_thread.hpp>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace cluster_channel::detail {

/// Makes the process host of a pool; tests give one that starts no processes.
using host_factory = std::function<std::shared_ptr<process_host>(std::vector<process_spec>, process_listener)>;

class master_pool {
public:
  /// Starts a pool in `system`, in one of its own if that is null. What it throws leaves nothing behind.
  static std::unique_ptr<master_pool> make(caf::actor_system* system, pool_options options,
                                           const host_factory& make_host = make_process_host_for);

  /// Closes and destroys `pool`. Where this thread is one that the pool has to wait for, as it runs a handler of the
  /// pool's or a continuation, the rest is done when that has returned.
  static void end(std::unique_ptr<master_pool> pool);

  master_pool(const master_pool&) = delete;
  master_pool& operator=(const master_pool&) = delete;
  ~master_pool();

  // See master_channel.
  pool_closed close(std::chrono::milliseconds drain_timeout);
  pool_stats stats() const;
  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener);
  void undo_connect();
  caf::actor_system& system() const noexcept;

  const caf::actor& router() const noexcept { return router_; }
  const caf::actor& supervisor() const noexcept { return supervisor_; }
  const pool_options& options() const noexcept { return options_; }

private:
  struct own_system;
  class actor_watch;
  class supervisor_door;
  template <class Answer>
  class reply;

  /// Something that changes when the bus connects, and that proxies ask for.
  template <class T>
  class current {
  public:
    void set(std::shared_ptr<const T> next) {
      std::lock_guard guard{mutex_};
      value_ = std::move(next);
    }
    void set(T next) { set(std::make_shared<const T>(std::move(next))); }
    std::shared_ptr<const T> get() const {
      std::lock_guard guard{mutex_};
      return value_;
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> value_;
  };

  master_pool(caf::actor_system* system, pool_options options);

  // -- on the pool's thread ---------------------------------------------------
  void start(const host_factory& make_host);
  void start_actors();
  void end_actors();

  // -- on any thread ----------------------------------------------------------
  void end_host();
  const void* id() const noexcept { return watch_.get(); }
  bool on_io_thread() const;
  void refuse_on_io_thread(const char* what) const;
  std::shared_ptr<courier> courier_of_this_thread() const;
  json_forms_source forms_source() const;

  const fork_mark mark_;
  const pool_options options_;
  const std::shared_ptr<router_inbox> inbox_;
  const std::shared_ptr<actor_watch> watch_;
  const std::shared_ptr<supervisor_door> door_;
  const std::shared_ptr<current<link_settings>> settings_ = std::make_shared<current<link_settings>>();
  const std::shared_ptr<current<json_forms>> forms_ = std::make_shared<current<json_forms>>();
  std::unique_ptr<pool_thread> thread_;
  std::shared_ptr<process_host> host_; // the supervisor's too, while that lives
  std::unique_ptr<own_system> own_;
  caf::actor_system* system_;
  caf::actor router_;
  caf::actor supervisor_;
  mutable std::mutex connect_mutex_;
  std::shared_ptr<router_target> target_; // set when a bus connects
  std::shared_ptr<courier> courier_;      // the same
};

} // namespace cluster_channel::detail
