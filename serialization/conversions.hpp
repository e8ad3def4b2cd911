// Which conversions of a request or an answer are allowed: those that brace-initialization allows, and those between
// numbers that keep every value of the source type. Compile time only; not for users.
//
//   slot<double> f;    f(1);         f(n);              an int is a double without loss, whatever its value
//   slot<unsigned> g;  g(1);         g({1});            a constant that fits is as good as `1u`
//                      g(-1);        g(n);              do not compile: the constant does not fit, an int may not
//   slot<int> h;       h(3.7);       h(x), x a double   do not compile
//   slot<bool> b;      b("off");                        does not compile
#pragma once

#include <cluster_channel/serialization/type_traits.hpp>

#include <cstddef>
#include <limits>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cluster_channel::detail {

template <class T>
concept number = std::is_arithmetic_v<T>;

/// Whether every value of From is one of To.
template <number From, number To>
constexpr bool keeps_every_value() {
  using from = std::numeric_limits<From>;
  using to = std::numeric_limits<To>;
  if constexpr (std::same_as<From, To>)
    return true;
  else if constexpr (std::same_as<To, bool>)
    return false;
  else if constexpr (std::is_floating_point_v<From>)
    return std::is_floating_point_v<To> && from::digits <= to::digits && from::max_exponent <= to::max_exponent;
  else
    return (to::is_signed || !from::is_signed) && from::digits <= to::digits;
}

/// Whether a constant of From may stand for a To: from a floating-point number to an integer it never may.
template <class From, class To>
concept may_fit = number<From> && number<To> && !keeps_every_value<From, To>() &&
                  !(std::is_floating_point_v<From> && !std::is_floating_point_v<To>);

/// Whether `x` is a value of To; a floating-point number that is merely rounded is.
template <class To, class From>
constexpr bool fits(From x) {
  if constexpr (std::is_floating_point_v<From>)
    return !(x > std::numeric_limits<To>::max() || x < std::numeric_limits<To>::lowest());
  else if constexpr (std::same_as<To, bool>)
    return x == 0 || x == 1;
  else
    return static_cast<From>(static_cast<To>(x)) == x && (static_cast<To>(x) < To{}) == (x < From{});
}

template <class From, class To>
constexpr bool loses_nothing();

template <class From, class To>
inline constexpr bool elements_lose_nothing = true;
template <template <class...> class A, class... From, template <class...> class B, class... To>
requires(sizeof...(From) == sizeof...(To) && tuple_like<A<From...>> &&
         tuple_like<B<To...>>) inline constexpr bool elements_lose_nothing<A<From...>, B<To...>> =
    (loses_nothing<From, To>() && ...);

/// Whether From converts to To, and no value changes on the way.
template <class From, class To>
constexpr bool loses_nothing() {
  using from = std::remove_cvref_t<From>;
  if constexpr (std::same_as<from, To>) {
    return std::is_convertible_v<From, To>;
  } else if constexpr (!std::is_convertible_v<From, To>) {
    return false;
  } else if constexpr (number<To>) {
    if constexpr (number<from>)
      return keeps_every_value<from, To>();
    else if constexpr (std::is_enum_v<from>)
      return keeps_every_value<std::underlying_type_t<from>, To>();
    else // a pointer is no bool; of a class, what it converts to counts
      return std::is_class_v<from> && requires {
        To{std::declval<From>()};
      };
  } else if constexpr (optional_like<To>) {
    using element = typename optional_traits<To>::element;
    if constexpr (optional_like<from>)
      return loses_nothing<typename optional_traits<from>::element, element>();
    else
      return !std::is_convertible_v<From, element> || loses_nothing<From, element>();
  } else if constexpr (tuple_like<To>) {
    return elements_lose_nothing<from, To>;
  } else {
    return std::is_aggregate_v<To> || requires {
      To{std::declval<From>()};
    };
  }
}

/// Never called at run time: a call of it ends the evaluation of a constant, and the compiler's message names it.
inline void the_value_does_not_fit_the_type_of_the_slot() {}

template <class T>
struct number_in {
  using type = T;
};
template <optional_like T>
requires(!is_owner<T>) struct number_in<T> {
  using type = typename optional_traits<T>::element;
};

/// Numbers, and optionals of them: a constant's value says whether it converts.
template <class T>
concept number_or_none = number<typename number_in<T>::type>;

/// A parameter that stands for a T: takes what loses nothing, and constants that fit.
template <number_or_none T>
class lossless {
public:
  constexpr lossless() = default;

  template <class From>
  requires(loses_nothing<From, T>()) constexpr lossless(From&& x) // NOLINT(*-explicit-*, *-forwarding-reference-*)
      : value_(std::forward<From>(x)) {}

  template <may_fit<typename number_in<T>::type> From>
  consteval lossless(From x) // NOLINT(*-explicit-*)
      : value_(static_cast<typename number_in<T>::type>(x)) {
    if (!fits<typename number_in<T>::type>(x))
      the_value_does_not_fit_the_type_of_the_slot();
  }

  constexpr operator T() && { return std::move(value_); } // NOLINT(*-explicit-*)

private:
  T value_{};
};

template <class T>
struct parameter_of {
  using type = T;
};
template <number_or_none T>
struct parameter_of<T> {
  using type = lossless<T>;
};
template <>
struct parameter_of<void> {
  using type = std::nullptr_t; // so that it can be named
};

/// How a function takes a T from a user.
template <class T>
using parameter_for = typename parameter_of<T>::type;

} // namespace cluster_channel::detail
