// A call on its way to whoever answers it, and the promise that it ends exactly once.
//
// The same value serves both directions: a bus hands it to a channel (and so to the router), a channel that received
// a request hands it to a bus. It belongs to one holder at a time and passes between threads by message.
#pragma once

#include <cluster_channel/actors/router_inbox.hpp>
#include <cluster_channel/serialization/message.hpp>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/timespan.hpp>

#include <memory>
#include <new>
#include <string>
#include <utility>
#include <variant>

namespace cluster_channel {

/// A text that many calls have in common; never null.
using shared_text = std::shared_ptr<const std::string>;

/// `param` to be shared; one and the same text for the default parameter.
inline shared_text share_param(std::string&& param) {
  static const auto by_default = std::make_shared<const std::string>(default_param);
  return param == *by_default ? by_default : std::make_shared<const std::string>(std::move(param));
}

/// The end of a call: the encoded response (empty for a `void` response), or why there is none.
using answer = std::variant<bytes, failure>;

/// Where an answer goes. Called exactly once per call, from any thread; must neither block nor throw.
class answer_sink {
public:
  virtual ~answer_sink() = default;
  virtual void answered(answer&& result) noexcept = 0;
};

/// Stands for "no time limit".
inline constexpr caf::timespan no_timeout = caf::timespan::max();

/// One call. Whoever holds it ends it with `finish`; dropping it unfinished ends it with `channel_closed`, so that no
/// race between actors that terminate can lose a call.
class pending_call : public inbox_item {
  const shared_text slot_;
  const shared_text param_;

public:
  pending_call(shared_text to_slot, shared_text its_param, bytes request, std::shared_ptr<answer_sink> sink)
      : inbox_item{kind::call},
        slot_{std::move(to_slot)},
        param_{std::move(its_param)},
        slot{*slot_},
        param{*param_},
        data{std::move(request)},
        sink_{std::move(sink)} {}

  pending_call(std::string to_slot, std::string its_param, bytes request, std::shared_ptr<answer_sink> sink)
      : pending_call{std::make_shared<const std::string>(std::move(to_slot)), share_param(std::move(its_param)),
                     std::move(request), std::move(sink)} {}

  ~pending_call() override {
    if (finished())
      return;
    try {
      fail(errc::channel_closed, "the channel was closed before the call was answered");
    } catch (const std::bad_alloc&) {
      finish(failure{.code = errc::channel_closed});
    }
  }

  /// Ends the call; the first end wins, later ones are dropped. A failure without slot and parameter gets those of
  /// the call, and one that says nothing says so.
  void finish(answer&& result) noexcept {
    auto sink = std::exchange(sink_, nullptr);
    if (!sink)
      return;
    try {
      if (auto* what = std::get_if<failure>(&result)) {
        make_telling(*what);
        if (what->slot.empty()) {
          what->slot = slot;
          what->param = param;
        }
      }
    } catch (const std::bad_alloc&) { // it says less then
    }
    sink->answered(std::move(result));
  }

  /// Short for `finish(failure{...})`.
  void fail(errc code, std::string text) noexcept {
    if (!sink_)
      return;
    failure what;
    what.code = code;
    what.text = std::move(text);
    finish(std::move(what));
  }

  bool finished() const noexcept { return sink_ == nullptr; }

  const std::string& slot;
  const std::string& param;
  bytes data;                         ///< the encoded request; taken out when it is sent
  caf::timespan timeout = no_timeout; ///< from hand-over to the channel to the answer
  /// The parts of it before and after the hand-over to a node; zero: the channel's own limits.
  caf::timespan wait_timeout = caf::timespan::zero();
  caf::timespan run_timeout = caf::timespan::zero();
  bool no_buffer = false; ///< it goes out whether or not the far end has registered a handler

private:
  std::shared_ptr<answer_sink> sink_;
};

using pending_call_ptr = std::shared_ptr<pending_call>;

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::pending_call_ptr)
