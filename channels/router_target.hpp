// Hands a bus's calls to a pool's router.
#pragma once

#include <cluster_channel/channels/channel.hpp>

#include <caf/actor.hpp>
#include <caf/send.hpp>

#include <mutex>
#include <shared_mutex>
#include <utility>

namespace cluster_channel::detail {

/// Works until `detach`, as an actor handle must not be used after its system. Thread-safe.
class router_target final : public call_target {
public:
  router_target(caf::actor router, caf::timespan timeout) : router_{std::move(router)}, timeout_{timeout} {}

  void submit(pending_call_ptr call) override {
    std::shared_lock guard{mutex_};
    if (router_)
      caf::anon_send(router_, std::move(call));
    // Else the call ends with channel_closed as it is dropped here.
  }

  void announce(const message&) override {
    // Children do not call the master's slots in this version.
  }

  caf::timespan default_timeout() const noexcept override { return timeout_; }

  void detach() {
    std::unique_lock guard{mutex_};
    router_ = nullptr;
  }

private:
  std::shared_mutex mutex_;
  caf::actor router_;
  const caf::timespan timeout_;
};

} // namespace cluster_channel::detail
