// The answer a handler still owes.
#pragma once

#include <cluster_channel/channels/call_state.hpp>
#include <cluster_channel/channels/timers.hpp>
#include <cluster_channel/serialization/conversions.hpp>

#include <caf/expected.hpp>
#include <caf/unit.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace cluster_channel {

namespace detail {

/// Whether a T that answers with a value does so without loss; errors, and values that are ready, have none to lose.
template <class T, class Response>
constexpr bool keeps_answer() {
  if constexpr (std::is_void_v<Response>)
    return true;
  else
    return std::same_as<std::remove_cvref_t<T>, caf::expected<Response>> || !std::is_convertible_v<T, Response> ||
           loses_nothing<T, Response>();
}

template <class T, class Response>
concept answer_of = std::is_constructible_v<caf::expected<Response>, T> && keeps_answer<T, Response>();

/// What the copies of a promise share, as far as no type is needed: the first end counts. Thread-safe.
class owed_answer {
public:
  /// Of a handler that was called from here: its answer goes to `to` as it is.
  owed_answer(std::shared_ptr<answer_sink> to, shared_text slot, shared_text param)
      : to_{std::move(to)}, slot_{std::move(slot)}, param_{std::move(param)} {}

  /// Of a handler that a far end called: its answer is encoded.
  explicit owed_answer(pending_call_ptr call) : call_{std::move(call)} {}

  owed_answer(const owed_answer&) = delete;
  owed_answer& operator=(const owed_answer&) = delete;
  virtual ~owed_answer() = default;

  /// Fails the call. An empty error says so.
  void fail(const caf::error& why) noexcept;
  void fail(failure&& why) noexcept;

  /// `fail(why)` as its time limit, which it does not take back.
  void expire(failure&& why) noexcept;

  /// The timer that calls `expire`: taken back at the answer. To be called before the handler runs.
  void limit(std::shared_ptr<timer_service> timers, timer_service::timer_id timer) noexcept {
    timers_ = std::move(timers);
    timer_ = timer;
  }

protected:
  /// Whether this is the first end. Then the timer is taken back.
  bool claim() noexcept;
  void fail_broken() noexcept;
  bool is_open() const noexcept { return !ended_.load(std::memory_order_acquire); }
  bool is_encoded() const noexcept { return encoded_; }

  /// Hands the answer on; after `claim`.
  void give(answer&& x) noexcept;
  std::shared_ptr<answer_sink> take_sink() noexcept { return std::move(to_); }

private:
  std::shared_ptr<answer_sink> to_; // or
  pending_call_ptr call_;
  const bool encoded_ = call_ != nullptr;
  shared_text slot_; // for `to_`
  shared_text param_;
  std::shared_ptr<timer_service> timers_;
  timer_service::timer_id timer_ = 0;
  std::atomic<bool> ended_{false};
};

/// The same for one type of response. Dropped without an answer it fails with `broken_promise`.
template <class Response>
class promise_state final : public owed_answer {
public:
  using owed_answer::owed_answer;

  ~promise_state() override {
    if (is_open())
      fail_broken();
  }

  void finish(caf::expected<Response>&& x) noexcept {
    if (!x) {
      fail(x.error());
    } else if (claim()) {
      if constexpr (std::is_void_v<Response>)
        give(bytes{});
      else if (is_encoded())
        give(encoded(*x));
      else
        static_cast<result_sink<Response>&>(*take_sink()).returned(std::move(*x));
    }
  }

private:
  template <class T>
  static answer encoded(const T& x) noexcept {
    try {
      return encode(x);
    } catch (...) {
      return encoding_failure("response");
    }
  }
};

/// Ends a promise that is nobody's call.
template <class Response>
class continuation_sink final : public result_sink<Response> {
public:
  using continuation = std::function<void(caf::expected<Response>&&)>;

  explicit continuation_sink(continuation done) : done_{std::move(done)} {}

  void returned(Response&& x) noexcept override { done_(caf::expected<Response>{std::move(x)}); }
  void answered(answer&& x) noexcept override { done_(make_error(std::move(std::get<failure>(x)))); }

private:
  continuation done_;
};

template <>
class continuation_sink<void> final : public result_sink<void> {
public:
  using continuation = std::function<void(caf::expected<void>&&)>;

  explicit continuation_sink(continuation done) : done_{std::move(done)} {}

  void answered(answer&& x) noexcept override;

private:
  continuation done_;
};

} // namespace detail

/// Answers one call of a slot with response type `Response`, now or later, from any thread.
///
/// Copies share one answer: the first `deliver` counts, later ones are ignored. When the last copy goes without one,
/// the call fails with `broken_promise`.
template <class Response>
class promise {
public:
  using result = caf::expected<Response>;
  using continuation = std::function<void(result&&)>;

  /// A promise whose answer goes to `done`, called exactly once.
  explicit promise(continuation done)
      : promise{std::make_shared<detail::promise_state<Response>>(
            std::make_shared<detail::continuation_sink<Response>>(std::move(done)), nullptr, nullptr)} {}

  /// @private
  explicit promise(std::shared_ptr<detail::promise_state<Response>> state) : state_{std::move(state)} {}

  /// Answers a `void` response.
  void deliver() const requires std::is_void_v<Response> { state_->finish(result{caf::unit}); }

  /// Answers with a value, an error, or a `caf::expected` of them. Values are converted as requests of slots are
  /// (conversions.hpp).
  template <detail::answer_of<Response> T>
  void deliver(T&& x) const {
    state_->finish(result(std::forward<T>(x)));
  }
  void deliver(detail::parameter_for<Response> x) const requires detail::number_or_none<Response> {
    state_->finish(result{Response{std::move(x)}});
  }

  /// Catches values that may not fit.
  template <class T>
  requires(std::is_constructible_v<result, T> && !detail::answer_of<T, Response> &&
           !std::is_convertible_v<T, detail::parameter_for<Response>>) void deliver(T&&) const {
    static_assert(detail::keeps_answer<T, Response>(), "the promise's type cannot hold every value of the type that is "
                                                       "delivered: convert it by hand");
  }

  /// Fails the call with the text of `err`; an empty error fails it too, with a text that says so.
  void fail(const caf::error& err) const { state_->fail(err); }

  /// Fails the call with `text`.
  void fail(std::string text) const { fail(make_error(errc::handler_failed, std::move(text))); }

private:
  std::shared_ptr<detail::promise_state<Response>> state_;
};

} // namespace cluster_channel
