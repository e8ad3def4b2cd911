// The eventual result of calling a slot.
#pragma once

#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/channels/link_reader.hpp>
#include <cluster_channel/serialization/codec.hpp>

#include <caf/actor_cast.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/behavior.hpp>
#include <caf/expected.hpp>
#include <caf/scheduled_actor.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>

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

/// The response that `data` stands for.
template <class Response>
caf::expected<Response> decode_response(const bytes& data) {
  if constexpr (std::is_void_v<Response>) {
    if (data.empty())
      return caf::expected<Response>{caf::unit};
    return make_error(errc::bad_payload,
                      "a response without data was expected, " + std::to_string(data.size()) + " bytes came");
  } else if constexpr (slot_payload<Response>) {
    return decode<Response>(data);
  } else {
    return make_error(errc::bad_payload, "this result is put together here and has no encoded form");
  }
}

/// Shared between the caller and whoever answers. An encoded response is decoded by the thread that takes it.
template <class Response>
class call_state final : public answer_sink {
public:
  using result = caf::expected<Response>;

  void answered(answer&& x) noexcept override {
    std::visit([this](auto& y) { this->set(std::move(y)); }, x);
  }

  void deliver(result&& x) { set(std::move(x)); }

  /// Calls `f` once the result is there, at once if it is; on the thread that ends the call.
  void on_done(std::function<void()> f) {
    std::unique_lock guard{mutex_};
    if (!done_) {
      continuation_ = std::move(f);
      return;
    }
    guard.unlock();
    f();
  }

  /// Waits until the result is there, or `deadline` is. @returns whether it is.
  bool wait_until(std::optional<std::chrono::steady_clock::time_point> deadline) {
    if (auto* reader = this_thread_reader())
      return read_until(*reader, deadline);
    std::unique_lock guard{mutex_};
    if (deadline)
      return ready_.wait_until(guard, *deadline, [this] { return done_; });
    ready_.wait(guard, [this] { return done_; });
    return true;
  }

  /// The result; to be taken once, after it is there.
  result take() {
    std::unique_lock guard{mutex_};
    auto value = std::exchange(value_, std::monostate{});
    guard.unlock();
    if (auto* direct = std::get_if<result>(&value))
      return std::move(*direct);
    if (auto* encoded = std::get_if<bytes>(&value))
      return decode_response<Response>(*encoded);
    if (auto* what = std::get_if<failure>(&value))
      return make_error(std::move(*what));
    return make_error(errc::broken_promise, "the result of this call was taken before");
  }

private:
  /// This thread is the one that reads the answers: it goes on doing so.
  bool read_until(link_reader& reader, std::optional<std::chrono::steady_clock::time_point> deadline) {
    on_done(reader.waker());
    reader.read_until(
        [this] {
          std::lock_guard guard{mutex_};
          return done_;
        },
        deadline);
    std::lock_guard guard{mutex_};
    continuation_ = nullptr;
    return done_;
  }

  /// The first end counts: a call may run out of time while its local handler still works.
  template <class T>
  void set(T&& x) {
    std::unique_lock guard{mutex_};
    if (done_)
      return;
    value_ = std::forward<T>(x);
    done_ = true;
    auto f = std::exchange(continuation_, nullptr);
    ready_.notify_all();
    guard.unlock();
    if (f)
      f();
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  bool done_ = false;
  std::variant<std::monostate, bytes, failure, result> value_;
  std::function<void()> continuation_;
};

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
      if (auto err = x ? caf::error{} : x.error())
        on_error(err);
      else if constexpr (std::is_void_v<Response>)
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
