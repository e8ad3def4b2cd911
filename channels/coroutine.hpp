// Waiting for a call in a coroutine: `caf::expected<foo_response> x = co_await bus.foo({21});`
//
// The coroutine goes on where `on_result` would run: on the thread that ends the call, which for a pool is the one of
// its I/O. There it must not block. To go on elsewhere use the coroutine type's own means, or Asio (asio.hpp).
#pragma once

#include <cluster_channel/channels/call.hpp>

#include <atomic>
#include <coroutine>
#include <optional>
#include <utility>

namespace cluster_channel {

namespace detail {

template <class Response>
class call_awaiter {
public:
  explicit call_awaiter(call<Response>&& waited_for) : call_{std::move(waited_for)} {}
  call_awaiter(const call_awaiter&) = delete;
  call_awaiter& operator=(const call_awaiter&) = delete;

  bool await_ready() const noexcept { return false; }

  /// The call may end within `on_result`, or at that moment on another thread, which then resumes the coroutine and may
  /// destroy this: whoever comes second of the two goes on.
  bool await_suspend(std::coroutine_handle<> waiting) {
    call_.on_result([this, waiting](caf::expected<Response> x) {
      result_.emplace(std::move(x));
      if (met_.exchange(true, std::memory_order_acq_rel))
        waiting.resume();
    });
    return !met_.exchange(true, std::memory_order_acq_rel);
  }

  caf::expected<Response> await_resume() { return std::move(*result_); }

private:
  call<Response> call_;
  std::optional<caf::expected<Response>> result_;
  std::atomic<bool> met_{false};
};

} // namespace detail

/// @returns the response, or the error that ended the call. The coroutine must not be destroyed while it waits.
template <class Response>
auto operator co_await(call<Response>&& waited_for) {
  return detail::call_awaiter<Response>{std::move(waited_for)};
}

} // namespace cluster_channel
