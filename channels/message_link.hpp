// One far end behind messages: which handlers it has, which calls it owes an answer to.
//
// The transport of every generic_channel; users see that one. Thread-safe. No lock is held while it calls the channel,
// the bus or a call's end, so any of them may call back.
#pragma once

#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/channels/chunker.hpp>
#include <cluster_channel/channels/generic_channel.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>

namespace cluster_channel::detail {

class message_link final : public call_target, public std::enable_shared_from_this<message_link> {
public:
  message_link(generic_channel* channel, caf::timespan timeout);

  /// Connects to a bus. @throws std::logic_error if one is connected.
  void attach(std::shared_ptr<channel_listener> listener);

  /// Takes back an `attach` of `listener`.
  void release(const channel_listener& listener);

  /// Forgets the channel and the bus.
  void detach() noexcept;

  bool has_bus() const;

  /// Splits and joins large messages from now on. @throws std::logic_error if it does, or if a bus is connected.
  void send_in_chunks(const chunk_options& options);

  // -- what happens on the link -----------------------------------------------
  void connected();
  void disconnected();
  void failed(const caf::error& why);
  void received(message&& msg);

  // -- call_target ------------------------------------------------------------
  void submit(pending_call_ptr call) override;
  caf::error announce(const message& registration) override;
  caf::timespan default_timeout() const noexcept override { return timeout_; }
  readiness ready_for(const std::string& slot, const std::string& param) const override;
  std::vector<std::string> params_of(const std::string& slot) const override;
  bool reconnect() override;

  /// Answers a call of the far end.
  void answer_call(call_id id, const std::string& slot, answer&& result);

private:
  struct open_call {
    pending_call_ptr call;
    timer_service::timer_id timer = 0;
  };
  struct late_answer {
    call_id id = 0;
    answer result;
  };
  using open_calls = std::unordered_map<call_id, open_call>;

  /// Calls `f(channel)` unless detached. @returns whether it did.
  template <class F>
  bool with_channel(F f);

  void go_down(const failure& why);
  bool say_hello(const channel_listener& bus, std::uint64_t connection);
  void send_late_answers();
  caf::error send(message msg);
  caf::error send_one(message&& msg);
  void join(const message& chunk);
  void watch_chunks(channel_listener& bus, const chunker& chunks);
  void check_chunks();
  void send_answer(call_id id, answer&& result);
  std::shared_ptr<channel_listener> listener() const;
  open_call take(call_id id);
  void end_call(call_id id, answer&& result);
  void expire(call_id id);
  static void end_all(open_calls&& calls, const failure& why, channel_listener* bus);
  void take_hello(const hello& theirs);
  void take_request(request&& call);
  void take_registration(handler_key&& key, bool registered);
  void take_event_list(event_list&& list);

  // The channel, and how many threads are inside of it.
  mutable std::mutex gate_mutex_;
  std::condition_variable gate_;
  const fork_mark mark_;
  generic_channel* channel_;
  std::size_t inside_ = 0;

  const caf::timespan timeout_;
  std::unique_ptr<chunker> owned_chunks_;      // written once, before chunks_
  std::atomic<chunker*> chunks_{nullptr};      // null: messages travel whole
  mutable std::mutex mutex_;                   // for all below
  std::shared_ptr<channel_listener> listener_; // holds this link until `detach`
  bool up_ = false;
  bool connected_ = false;       // up, and the hello was said
  std::uint64_t connection_ = 0; // counts
  bool detached_ = false;
  bool reconnecting_ = false;
  mutable bool told_connecting_ = false; // somebody waits for the end of `reconnecting_`
  std::optional<hello> early_hello_;     // came before the bus
  std::optional<failure> mismatch_;      // the two ends do not fit
  std::map<std::string, std::set<std::string>, std::less<>> registered_; // slot -> parameters
  std::size_t registrations_ = 0;
  std::size_t registered_bytes_ = 0; // of their names
  std::set<std::string, std::less<>> ignored_;
  open_calls calls_;
  call_id last_id_ = 0;
  std::deque<late_answer> late_answers_; // made before the hello was said
  std::size_t late_bytes_ = 0;
};

} // namespace cluster_channel::detail
