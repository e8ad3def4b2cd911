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
  void operator()(parameter_for<Request>) const;
  void operator()(parameter_for<Request>, call_options) const;
};

template <>
struct callable_shape<void> {
  void operator()() const;
  void operator()(call_options) const;
};

/// What a slot is called with, if it is called rightly. `lossless` looks at numbers itself, for some only at their
/// value.
template <class Request, class... Ts>
constexpr bool request_is_kept() {
  if constexpr (sizeof...(Ts) > 0 && !std::is_void_v<Request> && !number_or_none<Request>)
    return loses_nothing<boost::mp11::mp_first<boost::mp11::mp_list<Ts...>>, Request>();
  else
    return true;
}

template <class Request, class... Ts>
concept takes = std::is_invocable_v < const callable_shape<Request>
&, Ts... > &&request_is_kept<Request, Ts...>();

/// Would be taken if no value were lost.
template <class Request, class T = nothing, class...>
inline constexpr bool narrows = std::is_convertible_v<T, stored_request<Request>>;

/// What a wrong call does: not compile.
template <class Call, class Request, class... Ts>
Call wrong_call() {
  if constexpr (narrows<Request, Ts...>)
    static_assert(always_false<slot_takes<Request>, called_with<Ts...>>,
                  "this slot is called with a value that its type may not hold, as in a brace-initialization that "
                  "narrows: convert called_with<...> to slot_takes<...> (see both in this message) by hand");
  else
    static_assert(always_false<slot_takes<Request>, called_with<Ts...>>,
                  "this slot is called with other types than it is declared with: compare slot_takes<...> with "
                  "called_with<...> in this message");
  return Call{nullptr};
}

template <class F, class Request, class Response>
concept handler_for = actor_handle<F> || answers_later<F, Request, Response> || answers_at_once<F, Request, Response>;

} // namespace detail

} // namespace cluster_channel
