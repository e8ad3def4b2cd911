// A call as a std::future, for code that has those already.
#pragma once

#include <cluster_channel/channels/call.hpp>

#include <future>
#include <memory>
#include <utility>

namespace cluster_channel {

/// The result as a future: the response, or the error that ended the call; it never throws. In a handler of a
/// child_channel use `call::get` instead, which reads the link while it waits: a future that waits there for the master
/// waits for good.
template <class Response>
std::future<caf::expected<Response>> as_future(call<Response> pending) {
  auto promise = std::make_shared<std::promise<caf::expected<Response>>>();
  auto result = promise->get_future();
  pending.on_result([promise](caf::expected<Response> x) { promise->set_value(std::move(x)); });
  return result;
}

} // namespace cluster_channel
