// The event bus: an event declaration, connected to no channel or to some.
//
//   event_bus<events> bus;                    // local: calls run the handlers of this bus
//   event_bus<events> bus{channel};           // calls run at the far end of the channel
//   event_bus<events> bus{{.channels = {&tcp, &pool}, .ignored_events = {"ping"}}};
//   bus.foo(foo_request{20}).get(std::chrono::seconds{1});
//
// Functions that register handlers, or call slots, best take `events&`: then a test can give them a local bus.
// A bus may be used from any thread and any actor at once. It neither copies nor moves. Calls that wait when it is
// destroyed fail with `channel_closed` before its destructor returns, and run no handler any more. Its destruction does
// not wait for handlers that other threads run at that moment; for those of a master the destruction of the
// master_channel does.
#pragma once

#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/channel.hpp>
#include <cluster_channel/channels/slot.hpp>
#include <cluster_channel/serialization/describe.hpp>
#include <cluster_channel/serialization/signature.hpp>

#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>
#include <boost/mp11/set.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>

namespace cluster_channel {

/// Several declarations as one: `event_bus<combined_events<a_events, b_events>>` has the slots of both. A slot name in
/// two of them does not compile. This is also how a bus gets more than the 52 slots that BOOST_DESCRIBE_STRUCT takes:
/// declare them in parts; or describe one declaration with describe.hpp, which can name slots anew as well.
template <class... Declarations>
struct combined_events : Declarations... {};

/// For event_bus: declarations whose slots the bus takes no part in. Its far ends are told; here these slots are not
/// there at all, so using one does not compile.
template <class... Declarations>
struct ignoring {};

namespace detail {

template <class T>
struct is_slot : std::false_type {};

template <class Request, class Response>
struct is_slot<slot<Request, Response>> : std::true_type {};

/// The members of a declaration, those of its described bases included; a hidden one is a name used twice.
template <class Events>
struct slots_of {
  static_assert(boost::describe::has_describe_members<Events>::value,
                "an event declaration is a struct of slots described with BOOST_DESCRIBE_STRUCT(name, (), (slots...))");
  static_assert(describes_all_members<Events>(), "a slot or base of this event declaration is left out of its "
                                                 "description: name it in BOOST_DESCRIBE_STRUCT");
  using type = boost::describe::describe_members<Events, boost::describe::mod_public | boost::describe::mod_inherited |
                                                             boost::describe::mod_hidden>;
};

template <class... Declarations>
struct slots_of<combined_events<Declarations...>> {
  using type = boost::mp11::mp_append<boost::mp11::mp_list<>, typename slots_of<Declarations>::type...>;
};

/// A declaration without those that a bus ignores.
template <class Events, class... Ignored>
struct without {
  using type = Events;
};

template <class... Declarations, class... Ignored>
struct without<combined_events<Declarations...>, Ignored...> {
  template <class Declaration>
  using is_ignored = boost::mp11::mp_contains<boost::mp11::mp_list<Ignored...>, Declaration>;
  using type = boost::mp11::mp_remove_if<combined_events<Declarations...>, is_ignored>;
};

} // namespace detail

template <class Events, class Ignoring = ignoring<>>
class event_bus;

template <class Events, class... Ignored>
class event_bus<Events, ignoring<Ignored...>> : public detail::without<Events, Ignored...>::type {
public:
  /// The declaration this bus has the slots of.
  using events_type = typename detail::without<Events, Ignored...>::type;

  /// A local bus.
  event_bus() : event_bus{bus_options{}} {}

  /// A bus connected to the far end of `link`, which may be destroyed before or after it.
  explicit event_bus(channel& link) : event_bus{bus_options{.channels = {&link}}} {}

  /// @throws std::invalid_argument if an option is unusable, std::logic_error if a channel already serves a bus; then
  ///         none of the channels serves this one.
  explicit event_bus(bus_options options) : core_{std::make_shared<detail::bus_core>(std::move(options))} {
    bind_slots();
    core_->connect();
  }

  event_bus(const event_bus&) = delete;
  event_bus& operator=(const event_bus&) = delete;
  ~event_bus() { core_->close(); }

private:
  void bind_slots() {
    using members = typename detail::slots_of<events_type>::type;
    using ignored = boost::mp11::mp_append<boost::mp11::mp_list<>, typename detail::slots_of<Ignored>::type...>;
    static_assert(!boost::mp11::mp_empty<members>::value, "an event declaration needs at least one slot");
    static_assert(!detail::has_name_twice<members>(), "two of the combined event declarations have a slot of the same "
                                                      "name: rename one");
    boost::mp11::mp_for_each<members>([this](auto member) {
      auto& slot = static_cast<events_type&>(*this).*member.pointer;
      using slot_type = std::remove_reference_t<decltype(slot)>;
      static_assert(detail::is_slot<slot_type>::value, "every described member of an event declaration is a slot");
      bind(slot, detail::travelling_name<decltype(member)>);
    });
    boost::mp11::mp_for_each<ignored>(
        [this](auto member) { core_->add_ignored(detail::travelling_name<decltype(member)>); });
  }

  template <class Request, class Response>
  void bind(slot<Request, Response>& target, const char* name) {
    const auto ignored = core_->ignores(name);
    auto core = std::make_shared<detail::typed_slot<Request, Response>>(name, target.options(), core_, ignored);
    if (ignored)
      core_->add_ignored(name);
    else
      core_->add({name, slot_signature<Request, Response>()}, json_form_of<Request, Response>(), core);
    target.bind(std::move(core));
  }

  std::shared_ptr<detail::bus_core> core_;
};

} // namespace cluster_channel
