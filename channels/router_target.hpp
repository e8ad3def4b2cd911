// A pool as the bus sees it: hands calls and announcements to its router, and knows what its nodes have announced.
#pragma once

#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/channels/channel.hpp>

#include <caf/actor.hpp>

#include <atomic>
#include <map>
#include <set>
#include <shared_mutex>
#include <string>

namespace cluster_channel::detail {

/// Works until `detach`, as an actor handle must not be used after its system, or until the router ends: then calls end
/// at once. So they do in a forked copy of the process. Thread-safe.
class router_target final : public call_target {
public:
  /// @param inbox that of `router`.
  router_target(caf::actor router, std::shared_ptr<router_inbox> inbox, caf::timespan timeout)
      : inbox_{std::move(inbox)}, timeout_{timeout}, router_{std::move(router)} {}

  /// One that hears why `router` ends.
  static std::shared_ptr<router_target> make(const caf::actor& router, std::shared_ptr<router_inbox> inbox,
                                             caf::timespan timeout);

  // -- call_target ------------------------------------------------------------
  void submit(pending_call_ptr call) override;
  void broadcast(fan_out_ptr calls) override;
  caf::error announce(const message& registration) override;
  caf::timespan default_timeout() const noexcept override { return timeout_; }
  readiness ready_for(const std::string& slot, const std::string& param) const override;
  std::vector<std::string> params_of(const std::string& slot) const override;
  bool has_handler(const std::string& slot, const std::string& param) const override;

  /// Answers a call of a child.
  void answer_child(child_answer answer);

  /// Takes in what the nodes announced, and tells `bus`.
  void learn(const message& announcement, channel_listener& bus);

  /// Lets go the answers that wait for the courier.
  void let_answers_go(answers_may_go which);

  /// Calls fail from now on, because of `why`.
  void detach(const std::string& why = "the channel is closed");

private:
  void learn(const handler_key& key, bool registered, channel_listener& bus);
  void learn(const event_list& list, channel_listener& bus);

  /// What cannot be sent is not moved from.
  template <class Item>
  router_inbox::outcome send(std::shared_ptr<Item>& item, std::size_t bytes, bool bounded);
  void wake_router() const;
  std::string why_closed() const;

  const fork_mark mark_;

  const std::shared_ptr<router_inbox> inbox_;
  const caf::timespan timeout_;
  mutable std::shared_mutex mutex_; // for all below
  caf::actor router_;
  std::string why_detached_;
  std::map<std::string, std::set<std::string>> registered_; // slot -> parameters
  std::set<std::string> ignored_;                           // by some node; others may handle them
  std::atomic<bool> ignores_some_{false};
};

} // namespace cluster_channel::detail
