// Waiting for a call with Boost.Asio: any completion token, among them `use_awaitable`, `use_future` and callbacks.
//
//   auto x = co_await async_get(bus.foo({21}), boost::asio::use_awaitable); // a caf::expected<foo_response>
//
// The handler runs on its associated executor, as with any operation of Asio.
#pragma once

#include <cluster_channel/channels/call.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/system_executor.hpp>

#include <memory>
#include <utility>

namespace cluster_channel {

/// Completes with `void(caf::expected<Response>)`. The execution context has work until then.
template <class Response, class CompletionToken>
auto async_get(call<Response> waited_for, CompletionToken&& token) {
  auto start = [](auto handler, call<Response> pending) {
    using handler_type = decltype(handler);
    auto work =
        boost::asio::make_work_guard(boost::asio::get_associated_executor(handler, boost::asio::system_executor{}));
    // Shared, as a continuation must be copyable and a handler need not be.
    auto state = std::make_shared<std::pair<handler_type, decltype(work)>>(std::move(handler), std::move(work));
    pending.on_result([state](caf::expected<Response> x) {
      auto executor = state->second.get_executor();
      boost::asio::dispatch(executor, [state, x = std::move(x)]() mutable {
        auto complete = std::move(state->first);
        state->second.reset();
        std::move(complete)(std::move(x));
      });
    });
  };
  return boost::asio::async_initiate<CompletionToken, void(caf::expected<Response>)>(std::move(start), token,
                                                                                     std::move(waited_for));
}

} // namespace cluster_channel
