// The answer a handler still owes.
#pragma once

#include <cluster_channel/serialization/conversions.hpp>
#include <cluster_channel/serialization/error.hpp>

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
  explicit promise(continuation done) : state_{std::make_shared<state>(std::move(done))} {}

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

  /// Fails the call with the text of `err`.
  void fail(caf::error err) const { state_->finish(result{std::move(err)}); }

  /// Fails the call with `text`.
  void fail(std::string text) const { fail(make_error(errc::handler_failed, std::move(text))); }

private:
  struct state {
    explicit state(continuation f) : done{std::move(f)} {}
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state() {
      if (!finished.load(std::memory_order_acquire))
        finish(result{make_error(errc::broken_promise, "the handler dropped its promise without answering")});
    }
    void finish(result&& x) {
      if (!finished.exchange(true, std::memory_order_acq_rel))
        std::exchange(done, nullptr)(std::move(x));
    }
    continuation done;
    std::atomic<bool> finished{false};
  };

  std::shared_ptr<state> state_;
};

} // namespace cluster_channel
