// Lets described structs, std::optional, std::variant and adapted types be in CAF messages: CAF serializes, prints and
// sends them to other machines member by member, as if each had an `inspect` that hands over its members in order,
// those of bases first. A type with an `inspect` of its own keeps it.
//
// Include this, or the header of any slot, before CAF is first asked about such a type: C++ remembers the answer. Types
// that CAF sends between machines must be known to the actor_system_config by `add_message_type` all the same.
//
// These functions lie where CAF's inspectors find them, next to the inspectors. Not here: inspectors of one's own, and
// what is inside a struct but not known to CAF (owning pointers), which does not compile.
#pragma once

#include <cluster_channel/serialization/type_traits.hpp>

#include <boost/core/demangle.hpp>
#include <boost/mp11/algorithm.hpp>
#include <caf/detail/stringification_inspector.hpp>
#include <caf/detail/type_traits.hpp>
#include <caf/error.hpp>
#include <caf/meta/type_name.hpp>
#include <caf/none.hpp>
#include <caf/sec.hpp>
#include <caf/serializer.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

namespace cluster_channel::detail {

/// Stands for CAF's serializers where only an `inspect` that is not one of this file counts.
struct serializer_probe : caf::serializer {};

template <class T>
concept inspected_by_others = inspectable<T> || requires(serializer_probe& f, T& x) {
  inspect(f, x);
};

template <class T>
inline constexpr bool holds_serializable = false;
template <class T>
inline constexpr bool holds_serializable<std::optional<T>> = caf::detail::is_serializable<T>::value;
template <class... Ts>
inline constexpr bool holds_serializable<std::variant<Ts...>> = (caf::detail::is_serializable<Ts>::value && ...);

/// Points of time are known to CAF.
template <class T>
inline constexpr bool is_adapted_for_caf = adapted<T>;
template <class Clock, class Duration>
inline constexpr bool is_adapted_for_caf<std::chrono::time_point<Clock, Duration>> = false;

/// Types whose `inspect` is the one of this file.
template <class Inspector, class T>
concept inspected_here = std::is_class_v<T> && !std::same_as<Inspector, serializer_probe> &&
                         (described<T> || holds_serializable<T> || is_adapted_for_caf<T>)&&!inspected_by_others<T>;

template <class Inspector>
inline constexpr bool prints = std::same_as<Inspector, caf::detail::stringification_inspector>;

template <class Inspector, adapted T>
typename Inspector::result_type inspect_parts(Inspector& f, T& x) {
  if constexpr (Inspector::reads_state) {
    travels_as<T> y = payload_adapter<T>::to_payload(x);
    return f(y);
  } else {
    travels_as<T> y{};
    if (auto err = f(y))
      return err;
    try {
      x = payload_adapter<T>::from_payload(std::move(y));
      return {};
    } catch (const std::exception& ex) {
      return caf::make_error(caf::sec::invalid_argument, ex.what());
    }
  }
}

template <class Inspector, class T>
requires(described<T> && !adapted<T>) auto inspect_parts(Inspector& f, T& x) {
  const auto with_members = [&](const auto&... name) {
    static_assert(describes_all_members<T>(), "a member or base of this struct is left out of its description");
    return [&]<class... Members>(boost::mp11::mp_list<Members...>) {
      return f(name..., x.*Members::pointer...);
    }(boost::mp11::mp_rename<members_of<T>, boost::mp11::mp_list>{});
  };
  if constexpr (prints<Inspector>) {
    static const std::string name = boost::core::demangle(typeid(T).name());
    return with_members(caf::meta::type_name(name.c_str()));
  } else {
    return with_members();
  }
}

template <class Inspector, class T>
auto inspect_parts(Inspector& f, std::optional<T>& x) {
  if constexpr (prints<Inspector>) {
    return x ? f(*x) : f(caf::none);
  } else if constexpr (Inspector::reads_state) {
    bool there = x.has_value();
    return there ? f(there, *x) : f(there);
  } else {
    bool there = false;
    if (auto err = f(there); err || !there) {
      x.reset();
      return err;
    }
    return f(x.emplace());
  }
}

template <class Inspector, class... Ts>
auto inspect_parts(Inspector& f, std::variant<Ts...>& x) {
  if constexpr (prints<Inspector>) {
    return std::visit([&](auto& y) { f(y); }, x);
  } else if constexpr (Inspector::reads_state) {
    auto index = static_cast<std::uint32_t>(x.index());
    return std::visit([&](auto& y) { return f(index, y); }, x);
  } else {
    std::uint32_t index = 0;
    if (auto err = f(index))
      return err;
    if (index >= sizeof...(Ts))
      return caf::make_error(caf::sec::invalid_argument, "a variant has no such alternative");
    return boost::mp11::mp_with_index<sizeof...(Ts)>(index, [&](auto i) { return f(x.template emplace<i>()); });
  }
}

} // namespace cluster_channel::detail

namespace cluster_channel::caf_inspect {

template <class Inspector, class T>
requires detail::inspected_here<Inspector, T>
typename Inspector::result_type inspect(Inspector& f, T& x) {
  return detail::inspect_parts(f, x);
}

} // namespace cluster_channel::caf_inspect

namespace caf {
using cluster_channel::caf_inspect::inspect;
namespace detail {
using cluster_channel::caf_inspect::inspect;
}
} // namespace caf
