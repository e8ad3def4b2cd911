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

#include <cluster_channel/actors/detail/clean_spawn.hpp>
#include <cluster_channel/actors/requester.hpp>
#include <cluster_channel/channels/call.hpp>
#include <cluster_channel/channels/call_map.hpp>
#include <cluster_channel/channels/handler.hpp>
#include <cluster_channel/channels/slot_checks.hpp>
#include <cluster_channel/channels/slot_options.hpp>
#include <cluster_channel/channels/typed_slot.hpp>
#include <cluster_channel/serialization/caf_message.hpp>

#include <caf/actor_system.hpp>
#include <caf/delegated.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace cluster_channel {

/// Removes exactly the handler whose registration returned it, when called; dropping it leaves the handler in place.
/// Thread-safe; calling it again has no effect. A call that already reached the handler still runs.
using unsubscribe = std::function<void()>;

template <class Request, class Response>
class slot {
  static_assert(slot_payload<Request>, "the request type of this slot cannot be encoded: describe it with "
                                       "BOOST_DESCRIBE_STRUCT, give it a CAF inspect() function, or specialize "
                                       "cluster_channel::payload_adapter for it; of a view, send what it looks at");
  static_assert(slot_payload<Response>, "the response type of this slot cannot be encoded: describe it with "
                                        "BOOST_DESCRIBE_STRUCT, give it a CAF inspect() function, or specialize "
                                        "cluster_channel::payload_adapter for it; of a view, send what it looks at");

public:
  using request_type = Request;
  using response_type = Response;
  using stored_request = detail::stored_request<Request>;
  using request_parameter = detail::parameter_for<stored_request>;
  using call_type = call<Response>;
  using actor_request = std::conditional_t<std::is_void_v<Request>, caf::unit_t, Request>;

  /// A typed actor that stands for this slot: it replies to `Request` with `Response`, and to `caf::unit_t` if the
  /// request is `void`.
  using actor_type = caf::typed_actor<typename caf::replies_to<actor_request>::template with<Response>>;

  slot() = default;

  /// For declarations: `slot<foo_request, foo_response> foo{{.no_buffer = true}};`
  explicit slot(slot_options options) : options_{options} {}

  // -- calling ----------------------------------------------------------------

  /// Calls the slot, with the call's own options if any: once every far end of the bus has a handler for it, all
  /// handlers, local ones and those of the far ends, get the same request. If there is one, the call has its answer. If
  /// there are several, the call of a slot without a response is done when all are, and fails at the first failure, as
  /// the others go on; that of a slot with a response fails with `several_handlers`: call `all` instead.
  ///
  /// A request is converted where no value is lost by it: conversions.hpp says what that allows.
  call_type operator()(request_parameter request) const requires(!std::is_void_v<Request>) {
    return core().call_one(std::move(request), {});
  }

  call_type operator()(request_parameter request, call_options options) const requires(!std::is_void_v<Request>) {
    return core().call_one(std::move(request), std::move(options));
  }

  call_type operator()() const requires std::is_void_v<Request> { return core().call_one({}, {}); }

  call_type operator()(call_options options) const requires std::is_void_v<Request> {
    return core().call_one({}, std::move(options));
  }

  /// Calls the slot and yields the answers of all handlers, at least one; fails at the first failure.
  call<std::vector<Response>> all(request_parameter request, call_options options = {}) const
      requires(!std::is_void_v<Request> && !std::is_void_v<Response>) {
    return core().call_all(std::move(request), std::move(options));
  }

  call<std::vector<Response>> all(call_options options = {}) const
      requires(std::is_void_v<Request> && !std::is_void_v<Response>) {
    return core().call_all({}, std::move(options));
  }

  /// Calls the slot and yields what each handler answered, or its failure. The call itself fails only if it could not
  /// be made at all.
  call<answers<Response>> all_settled(request_parameter request, call_options options = {}) const
      requires(!std::is_void_v<Request>) {
    return core().call_all_settled(std::move(request), std::move(options));
  }

  call<answers<Response>> all_settled(call_options options = {}) const requires std::is_void_v<Request> {
    return core().call_all_settled({}, std::move(options));
  }

  /// Calls everyone who is there now: the local handlers, every far end that has a handler, and every live node of a
  /// pool, busy ones too. Waits for nobody to come: with nobody there it is done at once, without answers. Done when
  /// all have answered.
  call<answers<Response>> broadcast(request_parameter request, call_options options = {}) const
      requires(!std::is_void_v<Request>) {
    return core().broadcast(std::move(request), std::move(options));
  }

  call<answers<Response>> broadcast(call_options options = {}) const requires std::is_void_v<Request> {
    return core().broadcast({}, std::move(options));
  }

  /// Calls the slot for each of `requests`, with a bounded number of calls in flight: see call_map.hpp. A range given
  /// as an lvalue is read where it is.
  template <class Requests>
  auto map(Requests&& requests, map_options options = {}) const requires(!std::is_void_v<Request>) {
    return mapped_calls<slot, Requests>{*this, std::forward<Requests>(requests), std::move(options)};
  }

  /// Catches calls with the wrong types, so that the compiler's message names the right ones.
  template <class... Ts>
  requires(!detail::takes<Request, Ts...>) call_type operator()(Ts&&...) const {
    return detail::wrong_call<call_type, Request, Ts...>();
  }
  template <class... Ts>
  requires(!detail::takes<Request, Ts...>) call_type all(Ts&&...)
  const { return detail::wrong_call<call_type, Request, Ts...>(); }
  template <class... Ts>
  requires(!detail::takes<Request, Ts...>) call_type all_settled(Ts&&...)
  const { return detail::wrong_call<call_type, Request, Ts...>(); }
  template <class... Ts>
  requires(!detail::takes<Request, Ts...>) call_type broadcast(Ts&&...)
  const { return detail::wrong_call<call_type, Request, Ts...>(); }

  // -- handling ---------------------------------------------------------------

  /// Registers a handler; handler.hpp says what can be one. It may be called on any thread, and concurrently if the
  /// bus is used so: for calls of this bus on the caller's, for those of a far end on the one that its channel names
  /// (master_channel.hpp, child_channel.hpp, generic_channel.hpp). For a call of this bus that had to wait, it is the
  /// thread that found all far ends ready, such as one that reads a link or the timers': there it must not block long.
  /// @throws std::logic_error if the bus ignores this slot, std::invalid_argument if the parameter has more than 65,535
  ///         bytes: no far end could be told.
  template <class F>
  unsubscribe on(F handler) const {
    return on(parameter{}, std::move(handler));
  }

  /// The same for the calls with one parameter.
  template <class F>
  unsubscribe on(parameter param, F handler) const {
    if constexpr (detail::narrows_request<F, Request>) {
      static_assert(detail::always_false<detail::slot_takes<Request>, F>,
                    "the parameter of this handler cannot hold every value of slot_takes<...> (in this message): take "
                    "that type");
      return {};
    } else if constexpr (detail::narrows_answer<F, Request, Response>) {
      static_assert(detail::always_false<detail::slot_answers<Response>, F>,
                    "slot_answers<...> (in this message) cannot hold every value that this handler may return: return "
                    "that type, converted in the handler");
      return {};
    } else if constexpr (detail::handler_for<F, Request, Response>) {
      const auto core = core_ptr(); // a lazy callback may end the bus
      return core->add(std::move(param.value), detail::make_handler<Request, Response>(std::move(handler)));
    } else {
      static_assert(detail::always_false<detail::slot_takes<Request>, detail::slot_answers<Response>, F>,
                    "this is no handler for the slot: it must take slot_takes<...> and return slot_answers<...> (see "
                    "both in this message), or take a promise of the latter as a second parameter");
      return {};
    }
  }

  /// Tells who handles this slot, here or at the far ends of the bus: `connect(param)` is called when a parameter gets
  /// its first handler, from within for those that have one, and `disconnect(param)` when the last one goes. What it
  /// returns takes the callbacks back, and calls `disconnect` for the parameters still in use. Either may be null: then
  /// nobody is told of that. Callbacks run one at a
  /// time, on the thread on which a handler comes or goes, and must not throw. What finds one running on another thread
  /// leaves its own to that thread and returns: so after the callbacks were taken back a last one may still run, and
  /// what they use must be kept alive by them.
  unsubscribe lazy(lazy_callback connect, lazy_callback disconnect) const {
    const auto core = core_ptr(); // a callback may end the bus
    return core->add_lazy(std::move(connect), std::move(disconnect));
  }

  // -- composing --------------------------------------------------------------

  /// Starts an actor that calls this slot for every request it gets, for use with `self->request(handle, timeout,
  /// request)` and everything else that works on actors. It ends when the last handle to it goes. All calls have
  /// `options`. CAF tells nobody that a request to an actor ran out of time, so give the same limit here, as `timeout`:
  /// then the call ends too, and its node is not kept for an answer that nobody awaits.
  actor_type as_actor(caf::actor_system& system, call_options options = {}) const {
    using self_pointer = typename actor_type::pointer;
    const auto behavior = [core = core_ptr(), options](self_pointer self) -> typename actor_type::behavior_type {
      return {[core, self, options](const actor_request& request) -> caf::delegated<Response> {
        auto result = core->call_one(detail::request_from<Request>(request), call_options{options});
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
    };
    return detail::spawn_cleanly(system, [&] { return system.spawn(behavior); });
  }

  /// The name this slot was declared with; empty outside of a bus.
  const std::string& name() const { return core().name(); }

  /// What its declaration says.
  const slot_options& options() const noexcept { return options_; }

  /// @private
  void bind(std::shared_ptr<detail::typed_slot<Request, Response>> core) { core_ = std::move(core); }

private:
  const std::shared_ptr<detail::typed_slot<Request, Response>>& core_ptr() const {
    if (!core_)
      throw std::logic_error("a slot outside of an event_bus can neither be called nor handled: make an "
                             "event_bus of its declaration");
    return core_;
  }

  detail::typed_slot<Request, Response>& core() const { return *core_ptr(); }

  slot_options options_;
  std::shared_ptr<detail::typed_slot<Request, Response>> core_;
};

} // namespace cluster_channel
