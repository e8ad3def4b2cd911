// Finds out whether a described struct has members or bases that its description leaves out: they would not be sent.
//
// Only aggregates can be asked: a struct with n elements can be initialized with n values, but not with n + 1. An array
// counts as its elements, as the braces around them may be left out.
#pragma once

#include <boost/describe.hpp>
#include <boost/mp11/algorithm.hpp>
#include <boost/mp11/list.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace cluster_channel {

/// To be specialized as `true` for a described struct some of whose members are not meant to travel.
template <class T>
inline constexpr bool leaves_out_members = false;

namespace detail {

/// Initializes any element of a T; with Only, those alone that are bases of T.
enum class element_kind { any, base, empty_base };

template <class T, element_kind Only>
struct initializes {
  template <class U>
  requires(!std::is_same_v<U, T> && (Only == element_kind::any ||
                                     std::is_base_of_v<U, T>)&&(Only != element_kind::empty_base || std::is_empty_v<U>))
  operator U() const; // never defined
};

template <class T, element_kind Kind, std::size_t>
initializes<T, Kind> initializer();

/// Whether a T can be initialized with a value for each of `Is`, and then for each of `Kinds`.
template <class T, element_kind Kind, element_kind... More, std::size_t... Is>
constexpr bool initialized_by(std::index_sequence<Is...>) {
  return requires {
    T{initializer<T, Kind, Is>()..., initializer<T, More, 0>()...};
  };
}

template <class T, std::size_t Count>
constexpr bool has_more_elements_than() {
  return initialized_by<T, element_kind::any>(std::make_index_sequence<Count + 1>{});
}

template <class T>
constexpr std::size_t flat_size() {
  if constexpr (std::is_bounded_array_v<T>)
    return std::extent_v<T> * flat_size<std::remove_extent_t<T>>();
  else
    return 1;
}

template <class T>
using bases_of = boost::describe::describe_bases<T, boost::describe::mod_any_access>;

template <class T>
constexpr std::size_t described_elements() {
  std::size_t result = boost::mp11::mp_size<bases_of<T>>::value;
  boost::mp11::mp_for_each<boost::describe::describe_members<T, boost::describe::mod_any_access>>([&](auto member) {
    result += flat_size<std::remove_reference_t<decltype(std::declval<T&>().*member.pointer)>>();
  });
  return result;
}

/// Empty bases that are not described, beginning with base number Nth: nothing is lost with those.
template <class T, std::size_t Nth = 0>
constexpr std::size_t empty_bases() {
  using before = std::make_index_sequence<Nth>;
  if constexpr (initialized_by<T, element_kind::base, element_kind::empty_base>(before{}))
    return 1 + empty_bases<T, Nth + 1>();
  else if constexpr (initialized_by<T, element_kind::base, element_kind::base>(before{}))
    return empty_bases<T, Nth + 1>();
  else
    return 0;
}

template <class T>
constexpr std::size_t described_empty_bases() {
  std::size_t result = 0;
  boost::mp11::mp_for_each<bases_of<T>>([&](auto base) { result += std::is_empty_v<typename decltype(base)::type>; });
  return result;
}

/// More elements are not counted: it would take the compiler too long.
inline constexpr std::size_t counted_elements_max = 1024;

template <class T>
constexpr bool describes_all_members() {
  if constexpr (!leaves_out_members<T> && std::is_aggregate_v<T>) {
    constexpr auto count = described_elements<T>();
    if constexpr (count <= counted_elements_max) {
      if constexpr (has_more_elements_than<T, count>())
        return !has_more_elements_than<T, count + empty_bases<T>() - described_empty_bases<T>()>();
    }
  }
  return true;
}

} // namespace detail

} // namespace cluster_channel
