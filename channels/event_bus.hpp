// The event bus: an event declaration, connected to no channel or to some.
//
//   event_bus<events> bus;           // local: calls run the handlers of this bus
//   event_bus<events> bus{channel};  // calls run at the far end of the channel
//   bus.foo(foo_request{20}).get(std::chrono::seconds{1});
//
// Functions that register handlers, or call slots, best take `events&`: then a test can give them a local bus.
// A bus may be used from any thread and any actor at once. It neither copies nor moves.
#pragma once

#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/channel.hpp>
#include <cluster_channel/channels/slot.hpp>
#include <cluster_channel/serialization/signature.hpp>

#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>

#include <memory>
#include <type_traits>

namespace cluster_channel {

namespace detail {

template <class T>
struct is_slot : std::false_type {};

template <class Request, class Response>
struct is_slot<slot<Request, Response>> : std::true_type {};

} // namespace detail

template <class Events>
class event_bus : public Events {
  static_assert(boost::describe::has_describe_members<Events>::value,
                "an event declaration is a struct of slots described with BOOST_DESCRIBE_STRUCT(name, (), (slots...))");

public:
  /// A local bus.
  event_bus() : core_{std::make_shared<detail::bus_core>()} { bind_slots(); }

  /// A bus connected to the far end of `link`, which may be destroyed before or after it.
  explicit event_bus(channel& link) : event_bus() { core_->connect(link); }

  event_bus(const event_bus&) = delete;
  event_bus& operator=(const event_bus&) = delete;

private:
  void bind_slots() {
    using members =
        boost::describe::describe_members<Events, boost::describe::mod_public | boost::describe::mod_inherited>;
    static_assert(!boost::mp11::mp_empty<members>::value, "an event declaration needs at least one slot");
    boost::mp11::mp_for_each<members>([this](auto member) {
      auto& slot = static_cast<Events&>(*this).*member.pointer;
      using slot_type = std::remove_reference_t<decltype(slot)>;
      static_assert(detail::is_slot<slot_type>::value, "every described member of an event declaration is a slot");
      bind(slot, member.name);
    });
  }

  template <class Request, class Response>
  void bind(slot<Request, Response>& target, const char* name) {
    auto core = std::make_shared<detail::slot_core<Request, Response>>(name, core_);
    core_->add({name, slot_signature<Request, Response>()}, core);
    target.bind(std::move(core));
  }

  std::shared_ptr<detail::bus_core> core_;
};

} // namespace cluster_channel
