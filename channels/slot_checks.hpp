// Compile-time checks of slot.hpp whose names appear in the compiler's messages.
#pragma once

#include <cluster_channel/channels/handler.hpp>

#include <caf/timespan.hpp>

#include <string>
#include <type_traits>

namespace cluster_channel {

struct call_options;

template <class Request, class Response = void>
class slot;

namespace detail {

template <class...>
inline constexpr bool always_false = false;

template <class Request>
struct slot_takes;

template <class Response>
struct slot_answers;

template <class... Ts>
struct called_with;

/// Has exactly the call operators of a slot with this request type.
template <class Request>
struct callable_shape {
  void operator()(Request) const;
  void operator()(Request, call_options) const;
};

template <>
struct callable_shape<void> {
  void operator()() const;
  void operator()(call_options) const;
};

template <class F, class Request, class Response>
concept handler_for = actor_handle<F> || answers_later<F, Request, Response> || answers_at_once<F, Request, Response>;

} // namespace detail

} // namespace cluster_channel
