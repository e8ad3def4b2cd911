// The eventual result of calling a slot.
#pragma once

#include <cluster_channel/channels/call_state.hpp>

#include <caf/actor_cast.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>
#include <caf/expected.hpp>
#include <caf/scheduled_actor.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>

namespace cluster_channel {

namespace detail {

/// `timeout` from now; none if the clock does not reach that far.
template <class Rep, class Period>
std::optional<std::chrono::steady_clock::time_point> deadline_after(std::chrono::duration<Rep, Period> timeout) {
  using clock = std::chrono::steady_clock;
  const auto now = clock::now();
  if (std::chrono::duration<double>{timeout} >= std::chrono::duration<double>{clock::time_point::max() - now})
    return std::nullopt;
  return now + std::chrono::ceil<clock::duration>(timeout);
}

/// Wakes the continuation of a call inside the actor that waits for it.
struct call_done {};

} // namespace detail

/// The eventual result of one call, which is under way as soon as this exists. Take the result in one of three ways,
/// once: `get` blocks a thread, `then` continues inside an actor, `on_result` continues anywhere. Dropping it lets the
/// call run and ignores its result. Thread-compatible: one thread at a time.
template <class Response>
class [[nodiscard]] call {
public:
  using result = caf::expected<Response>;

  explicit call(std::shared_ptr<detail::call_state<Response>> state) : state_{std::move(state)} {}

  /// Waits for the result at most `timeout`. Not for use inside an event-based actor: it blocks the thread.
  /// @returns the response, the error that ended the call, or `timed_out`. After the latter the call goes on, and
  ///          `get` may be called again.
  template <class Rep, class Period>
  result get(std::chrono::duration<Rep, Period> timeout) {
    if (!state_->wait_until(detail::deadline_after(timeout)))
      return make_error(errc::timed_out, "no answer within the deadline given to get");
    return state_->take();
  }

  /// Waits for the result as long as the call's limits allow; one that waits for a far end has none by default.
  result get() {
    state_->wait_until(std::nullopt);
    return state_->take();
  }

  /// Continues inside the actor `self`: exactly one of `on_value(Response&)` (`on_value()` for `void`) and
  /// `on_error(caf::error&)` runs as one of its message handlers, unless it ends before. To be called by `self`.
  /// CAF keeps such continuations in a flat list: an actor with thousands of them open at once pays for it; give those
  /// to `on_result` instead.
  template <class Self, class OnValue, class OnError>
  void then(Self* self, OnValue on_value, OnError on_error) {
    static_assert(std::is_base_of_v<caf::scheduled_actor, Self>,
                  "then() needs an event-based actor; in a blocking actor or outside of actors use get()");
    const auto id = self->new_request_id(caf::message_priority::normal).response_id();
    auto resume = [state = state_, on_value, on_error]() mutable {
      auto x = state->take();
      if (!x) {
        auto cause = x.error(); // an expected of void gives it as const only
        on_error(cause);
      } else if constexpr (std::is_void_v<Response>)
        on_value();
      else
        on_value(*x);
    };
    self->add_multiplexed_response_handler(id, caf::behavior{
                                                   [resume](const detail::call_done&) mutable { resume(); },
                                                   [on_error](caf::error& err) mutable { on_error(err); },
                                               });
    state_->on_done([actor = caf::actor_cast<caf::strong_actor_ptr>(self), id] {
      actor->enqueue(nullptr, id, caf::make_message(detail::call_done{}), nullptr);
    });
  }

  /// Continues with `f(caf::expected<Response>)` on the thread that ends the call, or at once on this one if it has
  /// ended. `f` must neither block nor throw: it holds up the I/O of the whole process.
  template <class F>
  void on_result(F f) {
    static_assert(std::is_invocable_v<F&, result>, "on_result() needs a callable that takes caf::expected<Response>");
    // The state runs this itself, so it is alive then; owning it here would be a cycle.
    state_->on_done([state = state_.get(), f = std::move(f)]() mutable { f(state->take()); });
  }

private:
  std::shared_ptr<detail::call_state<Response>> state_;
};

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::detail::call_done)
