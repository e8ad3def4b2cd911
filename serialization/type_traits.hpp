// Sorts payload types into the kinds that codecs and signatures treat alike.
#pragma once

#include <boost/describe.hpp>
#include <caf/meta/annotation.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace cluster_channel::detail {

template <class T>
concept scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// Scalars of which every bit pattern is a value, so that a run of them may be copied.
template <class T>
concept plain_scalar = scalar<T> && !std::same_as<T, bool>;

template <class T>
concept described = std::is_class_v<T> && boost::describe::has_describe_members<T>::value &&
    boost::describe::has_describe_bases<T>::value;

template <class T>
using members_of = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = true;

template <class T>
concept duration = is_duration<T>;

/// std::array, std::pair, std::tuple.
template <class T>
concept tuple_like = requires {
  std::tuple_size<T>::value;
};

/// std::optional, caf::optional.
template <class T>
concept optional_like = requires(T& x, const T& y) {
  typename T::value_type;
  { *y } -> std::convertible_to<const typename T::value_type&>;
  static_cast<bool>(y);
  x = T{};
}
&&!std::ranges::range<T> && !std::is_pointer_v<T>;

template <class T>
concept variant_like = requires {
  std::variant_size<T>::value;
};

/// Containers whose elements lie in one run and may be copied as bytes.
template <class T>
concept plain_run = std::ranges::contiguous_range<T> && requires(T& x) {
  requires plain_scalar<typename T::value_type>;
  x.resize(std::size_t{});
};

template <class T>
struct element {
  using type = typename T::value_type;
};

/// A map's elements without the const on their keys.
template <class T>
requires requires {
  typename T::mapped_type;
}
struct element<T> {
  using type = std::pair<typename T::key_type, typename T::mapped_type>;
};

template <class T>
using element_t = typename element<T>::type;

/// Containers to whose end something can be added; sets and maps too.
template <class T>
concept container = std::ranges::range<T> && requires(T& x, element_t<T> y) {
  x.clear();
  x.insert(x.end(), std::move(y));
};

/// Calls `f(member)` for every member of a described T, those of its bases first.
template <class T, class F>
void for_each_member(F&& f) {
  boost::mp11::mp_for_each<members_of<T>>(std::forward<F>(f));
}

} // namespace cluster_channel::detail
