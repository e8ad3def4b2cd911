// A slot: one named event of a declaration, with a request and a response type.
//
// Slots are members of a described struct, the event declaration; an event_bus of that struct makes them callable:
//
//   struct events {
//     cluster_channel::slot<foo_request, foo_response> foo;
//   };
//   BOOST_DESCRIBE_STRUCT(events, (), (foo))
//
// Calling a slot and changing its handlers are thread-safe.
#pragma once

#include <cluster_channel/actors/requester.hpp>
#include <cluster_channel/channels/call.hpp>
#include <cluster_channel/channels/handler.hpp>
#include <cluster_channel/channels/slot_checks.hpp>
#include <cluster_channel/channels/slot_core.hpp>
#include <cluster_channel/serialization/caf_message.hpp>

#include <caf/actor_system.hpp>
#include <caf/delegated.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace cluster_channel {

/// Subdivides a slot: handlers of one parameter see only the calls for that parameter.
struct parameter {
  std::string value = default_param;
};

/// Options of one call.
struct call_options {
  parameter param;
  /// From hand-over to the channel to the answer; zero: the channel's own timeout.
  caf::timespan timeout = caf::timespan::zero();
};

/// Removes exactly the handler whose registration returned it, when called; dropping it leaves the handler in place.
/// Thread-safe; calling it again has no effect. A call that already reached the handler still runs.
using unsubscribe = std::function<void()>;

template <class Request, class Response>
class slot {
  static_assert(slot_payload<Request>, "the request type of this slot cannot be encoded: describe it with "
                                       "BOOST_DESCRIBE_STRUCT, or give it a CAF inspect() function");
  static_assert(slot_payload<Response>, "the response type of this slot cannot be encoded: describe it with "
                                        "BOOST_DESCRIBE_STRUCT, or give it a CAF inspect() function");

public:
  using request_type = Request;
  using response_type = Response;
  using stored_request = detail::stored_request<Request>;
  using call_type = call<Response>;
  using actor_request = std::conditional_t<std::is_void_v<Request>, caf::unit_t, Request>;

  /// A typed actor that stands for this slot: it replies to `Request` with `Response`, and to `caf::unit_t` if the
  /// request is `void`.
  using actor_type = caf::typed_actor<typename caf::replies_to<actor_request>::template with<Response>>;

  // -- calling ----------------------------------------------------------------

  /// Calls the slot: one handler, local or behind the bus's channel, answers.
  call_type operator()(stored_request request) const requires(!std::is_void_v<Request>) {
    return core().call(std::move(request), default_param, caf::timespan::zero());
  }

  call_type operator()(stored_request request, call_options options) const requires(!std::is_void_v<Request>) {
    return core().call(std::move(request), std::move(options.param.value), options.timeout);
  }

  call_type operator()() const requires std::is_void_v<Request> {
    return core().call({}, default_param, caf::timespan::zero());
  }

  call_type operator()(call_options options) const requires std::is_void_v<Request> {
    return core().call({}, std::move(options.param.value), options.timeout);
  }

  /// Catches calls with the wrong types, so that the compiler's message names the right ones.
  template <class... Ts>
  requires(!std::is_invocable_v<const detail::callable_shape<Request>&, Ts...>) call_type operator()(Ts&&...) const {
    static_assert(detail::always_false<detail::slot_takes<Request>, detail::called_with<Ts...>>,
                  "this slot is called with other types than it is declared with: compare slot_takes<...> with "
                  "called_with<...> in this message");
    return call_type{nullptr};
  }

  // -- handling ---------------------------------------------------------------

  /// Registers a handler; handler.hpp says what can be one. It may be called on any thread, and concurrently if the
  /// bus is used so. On a child channel it runs on the thread of `run()`.
  template <class F>
  unsubscribe on(F handler) const {
    return on(parameter{}, std::move(handler));
  }

  /// The same for the calls with one parameter.
  template <class F>
  unsubscribe on(parameter param, F handler) const {
    if constexpr (detail::handler_for<F, Request, Response>) {
      return core().add(std::move(param.value), detail::make_handler<Request, Response>(std::move(handler)));
    } else {
      static_assert(detail::always_false<detail::slot_takes<Request>, detail::slot_answers<Response>, F>,
                    "this is no handler for the slot: it must take slot_takes<...> and return slot_answers<...> (see "
                    "both in this message), or take a promise of the latter as a second parameter");
      return {};
    }
  }

  // -- composing --------------------------------------------------------------

  /// Starts an actor that calls this slot for every request it gets, for use with `self->request(handle, timeout,
  /// request)` and everything else that works on actors. It ends when the last handle to it goes.
  actor_type as_actor(caf::actor_system& system) const {
    using self_pointer = typename actor_type::pointer;
    return system.spawn([core = core_ptr()](self_pointer self) -> typename actor_type::behavior_type {
      return {[core, self](const actor_request& request) -> caf::delegated<Response> {
        auto result = core->call(detail::request_from<Request>(request), default_param, caf::timespan::zero());
        result.on_result([to = requester{self}](caf::expected<Response>&& x) {
          if (!x)
            to.answer(caf::make_message(std::move(x.error())));
          else if constexpr (std::is_void_v<Response>)
            to.answer(caf::make_message());
          else
            to.answer(caf::make_message(std::move(*x)));
        });
        return {};
      }};
    });
  }

  /// The name this slot was declared with; empty outside of a bus.
  const std::string& name() const { return core().name(); }

  /// @private
  void bind(std::shared_ptr<detail::slot_core<Request, Response>> core) { core_ = std::move(core); }

private:
  const std::shared_ptr<detail::slot_core<Request, Response>>& core_ptr() const {
    if (!core_)
      throw std::logic_error("a slot outside of an event_bus can neither be called nor handled: make an "
                             "event_bus of its declaration");
    return core_;
  }

  detail::slot_core<Request, Response>& core() const { return *core_ptr(); }

  std::shared_ptr<detail::slot_core<Request, Response>> core_;
};

} // namespace cluster_channel
