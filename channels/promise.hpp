// The answer a handler still owes.
#pragma once

#include <cluster_channel/serialization/error.hpp>

#include <caf/expected.hpp>
#include <caf/unit.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace cluster_channel {

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

  /// Answers with a value; without arguments for a `void` response.
  template <class... Ts>
  requires std::is_constructible_v<result, Ts...> &&
      (sizeof...(Ts) == 1 || (sizeof...(Ts) == 0 && std::is_void_v<Response>)) void deliver(Ts&&... xs) const {
    state_->finish(result(std::forward<Ts>(xs)...));
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
