// Turns whatever a user gives as a handler into one form: a function of request and promise.
//
// A handler for `slot<Request, Response>` is one of:
//   Response f(const Request&)                   answers at once; may throw
//   caf::expected<Response> f(const Request&)    answers or fails at once
//   void f(const Request&, promise<Response>)    answers later, from any thread
//   a CAF actor that replies to Request with Response
// For a `void` request the first parameter is left out. What it throws, or a caf::error it answers with, becomes the
// error text of the call.
#pragma once

#include <cluster_channel/actors/detail/clean_spawn.hpp>
#include <cluster_channel/channels/promise.hpp>
#include <cluster_channel/serialization/caf_message.hpp>

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>

namespace cluster_channel::detail {

/// Stands in for a `void` request.
struct nothing {};

template <class Request>
using stored_request = std::conditional_t<std::is_void_v<Request>, nothing, Request>;

/// What a typed actor for the slot receives, as what the slot stores.
template <class Request>
stored_request<Request> request_from(const std::conditional_t<std::is_void_v<Request>, caf::unit_t, Request>& x) {
  if constexpr (std::is_void_v<Request>)
    return {};
  else
    return x;
}

/// The other way round.
template <class Request>
auto request_to_actor(const stored_request<Request>& x) {
  if constexpr (std::is_void_v<Request>)
    return caf::unit;
  else
    return x;
}

template <class Request, class Response>
using handler_function = std::function<void(const stored_request<Request>&, const promise<Response>&)>;

template <class F, class Request, class... Ts>
struct call_with_request : std::is_invocable<F&, const Request&, Ts...> {
  template <class... Us>
  static decltype(auto) invoke(F& f, const Request& request, Us&&... xs) {
    return std::invoke(f, request, std::forward<Us>(xs)...);
  }
};

template <class F, class... Ts>
struct call_with_request<F, void, Ts...> : std::is_invocable<F&, Ts...> {
  template <class... Us>
  static decltype(auto) invoke(F& f, const nothing&, Us&&... xs) {
    return std::invoke(f, std::forward<Us>(xs)...);
  }
};

template <class F, class Request, class Response>
concept answers_later = call_with_request<F, Request, promise<Response>>::value;

/// What F returns, `caf::unit_t` for void.
template <class F, class Request>
struct handler_result {
  using type = decltype(call_with_request<F, Request>::invoke(std::declval<F&>(),
                                                              std::declval<const stored_request<Request>&>()));
};
template <class F, class Request>
using handler_result_t = std::conditional_t<std::is_void_v<typename handler_result<F, Request>::type>, caf::unit_t,
                                            typename handler_result<F, Request>::type>;

template <class F, class Request, class Response>
concept returns_answer = call_with_request<F, Request>::value && !answers_later<F, Request, Response> &&
                         std::is_constructible_v<caf::expected<Response>, handler_result_t<F, Request>>;

/// Returns what the slot's response may not hold.
template <class F, class Request, class Response>
concept narrows_answer =
    returns_answer<F, Request, Response> && !keeps_answer<handler_result_t<F, Request>, Response>();

template <class F, class Request, class Response>
concept answers_at_once = returns_answer<F, Request, Response> && !narrows_answer<F, Request, Response>;

template <class R, class C, class P, class... Ts>
P first_parameter(R (C::*)(P, Ts...));
template <class R, class C, class P, class... Ts>
P first_parameter(R (C::*)(P, Ts...) const);
template <class R, class P, class... Ts>
P first_parameter(R (*)(P, Ts...));
template <class F>
auto first_parameter_of(F&) -> decltype(first_parameter(&F::operator()));
template <class F>
requires std::is_function_v<std::remove_pointer_t<F>>
auto first_parameter_of(F&) -> decltype(first_parameter(std::declval<F>()));

/// Takes, as its parameter, what cannot hold every request; not seen in handlers that are overloaded or templates.
template <class F, class Request>
concept narrows_request = !std::is_void_v<Request> && requires(F & f) {
  first_parameter_of(f);
  requires std::is_convertible_v < const stored_request<Request>
  &, decltype(first_parameter_of(f)) > ;
  requires !loses_nothing<const stored_request<Request>&, std::remove_cvref_t<decltype(first_parameter_of(f))>>();
};

template <class T>
concept actor_handle = requires(const T& x) {
  typename T::signatures;
  caf::actor_cast<caf::strong_actor_ptr>(x);
};

/// Answers `done` with what `f` returns or throws.
template <class Response, class F>
void deliver_result_of(F f, const promise<Response>& done) {
  try {
    if constexpr (std::is_void_v<decltype(f())>) {
      f();
      done.deliver(caf::expected<Response>{caf::unit});
    } else {
      done.deliver(caf::expected<Response>{f()});
    }
  } catch (const std::exception& ex) {
    done.fail(ex.what());
  } catch (...) {
    done.fail("the handler threw something that is no std::exception");
  }
}

/// One call for the bridge actor below.
using bridged_call = std::shared_ptr<const std::function<void(caf::event_based_actor*)>>;

} // namespace cluster_channel::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::detail::bridged_call)

namespace cluster_channel::detail {

/// Requests need an actor to come from and answers one to arrive at: this is the one on the bus's side. It ends when
/// the handler that holds it is removed.
template <class Request, class Response, class Handle>
handler_function<Request, Response> handler_from_actor(const Handle& target) {
  auto& system = caf::actor_cast<caf::strong_actor_ptr>(target)->home_system[0];
  const caf::actor bridge = spawn_cleanly(system, [&]() -> caf::actor {
    return system.spawn([](caf::event_based_actor* self) -> caf::behavior {
      return {[self](const bridged_call& run) { (*run)(self); }};
    });
  });
  return [bridge, target](const stored_request<Request>& request, const promise<Response>& done) {
    auto run = [target, request, done](caf::event_based_actor* self) {
      const auto fail = [done](caf::error& err) { done.fail(std::move(err)); };
      if constexpr (std::is_void_v<Response>)
        self->request(target, caf::infinite, request_to_actor<Request>(request)).then([done] { done.deliver(); }, fail);
      else
        self->request(target, caf::infinite, request_to_actor<Request>(request))
            .then([done](Response& x) { done.deliver(std::move(x)); }, fail);
    };
    caf::anon_send(bridge, std::make_shared<const std::function<void(caf::event_based_actor*)>>(std::move(run)));
  };
}

/// The one form of every handler; does not compile for what is none.
template <class Request, class Response, class F>
handler_function<Request, Response> make_handler(F f) {
  if constexpr (actor_handle<F>) {
    return handler_from_actor<Request, Response>(f);
  } else if constexpr (answers_later<F, Request, Response>) {
    return [f = std::move(f)](const stored_request<Request>& request, const promise<Response>& done) mutable {
      try {
        call_with_request<F, Request, promise<Response>>::invoke(f, request, done);
      } catch (const std::exception& ex) {
        done.fail(ex.what());
      } catch (...) {
        done.fail("the handler threw something that is no std::exception");
      }
    };
  } else {
    return [f = std::move(f)](const stored_request<Request>& request, const promise<Response>& done) mutable {
      deliver_result_of([&]() -> decltype(auto) { return call_with_request<F, Request>::invoke(f, request); }, done);
    };
  }
}

} // namespace cluster_channel::detail
