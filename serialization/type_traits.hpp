// Sorts payload types into the kinds that codecs and signatures treat alike. Compile time only; not for users, who
// want `payload` and `slot_payload` of codec.hpp.
#pragma once

#include <cluster_channel/serialization/left_out_members.hpp>
#include <cluster_channel/serialization/payload_adapter.hpp>

#include <boost/describe.hpp>
#include <caf/error.hpp>
#include <caf/meta/annotation.hpp>
#include <caf/optional.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace cluster_channel::detail {

// -- kinds --------------------------------------------------------------------

/// Not long double: its size and padding differ between machines.
template <class T>
concept scalar = (std::is_arithmetic_v<T> && !std::same_as<T, long double>) || std::is_enum_v<T>;

template <class T>
inline constexpr bool is_bool = std::is_same_v<T, bool>;
template <class T>
requires std::is_enum_v<T>
inline constexpr bool is_bool<T> = std::is_same_v<std::underlying_type_t<T>, bool>;

/// bool, and enums that are one.
template <class T>
concept bool_like = is_bool<T>;

/// Scalars of which every bit pattern is a value, so that a run of them may be copied.
template <class T>
concept plain_scalar = scalar<T> && !bool_like<T>;

template <class T>
using members_of = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

template <class T>
using all_members_of =
    boost::describe::describe_members<T, boost::describe::mod_any_access | boost::describe::mod_inherited |
                                             boost::describe::mod_hidden>;

/// Described classes of which every member can be reached: encoding the others would silently drop what is private, or
/// hidden by a member of the same name in a derived class.
template <class T>
concept described = std::is_class_v<T> && boost::describe::has_describe_members<T>::value &&
                    boost::describe::has_describe_bases<T>::value &&
                    boost::mp11::mp_size<members_of<T>>::value == boost::mp11::mp_size<all_members_of<T>>::value;

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = true;

template <class T>
concept duration = is_duration<T>;

template <class T>
struct fixed_array_traits;
template <class T, std::size_t N>
struct fixed_array_traits<std::array<T, N>> {
  using element = T;
  static constexpr std::size_t size = N;
};
template <class T, std::size_t N>
struct fixed_array_traits<T[N]> {
  using element = T;
  static constexpr std::size_t size = N;
};

/// std::array and C arrays.
template <class T>
concept fixed_array = requires {
  typename fixed_array_traits<T>::element;
};

/// std::pair, std::tuple.
template <class T>
concept tuple_like = requires {
  std::tuple_size<T>::value;
}
&&!fixed_array<T>;

template <class T>
struct optional_traits;
template <class T>
struct optional_traits<std::optional<T>> {
  using element = T;
};
template <class T>
struct optional_traits<caf::optional<T>> {
  using element = T;
};

template <class T>
struct optional_traits<std::unique_ptr<T>> {
  using element = std::remove_const_t<T>;
};
template <class T>
struct optional_traits<std::shared_ptr<T>> {
  using element = std::remove_const_t<T>;
};

/// std::unique_ptr, std::shared_ptr: optionals that own their value elsewhere.
template <class T>
inline constexpr bool is_owner = false;
template <class T>
inline constexpr bool is_owner<std::unique_ptr<T>> = true;
template <class T>
inline constexpr bool is_owner<std::shared_ptr<T>> = true;

/// std::optional, caf::optional, owners of one value.
template <class T>
concept optional_like = requires {
  typename optional_traits<T>::element;
};

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

/// CAF's hints to inspectors: names, formatting, callbacks.
template <class T>
concept annotation = std::is_base_of_v<caf::meta::annotation, T>;

/// Finds whether a type has an `inspect` that takes any CAF inspector.
struct probe_inspector {
  using result_type = caf::error;
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;
  template <class... Ts>
  result_type operator()(Ts&&...);
};

template <class T>
concept inspectable = requires(probe_inspector& f, T& x) {
  inspect(f, x);
};

/// Whether the value of a T is all that it holds: a pointer to a base may hold more than its type can send.
template <optional_like T>
constexpr bool holds_all_of_its_value() {
  using element = typename optional_traits<T>::element;
  static_assert(!is_owner<T> || !std::is_polymorphic_v<element> || std::is_final_v<element>,
                "a pointer to a polymorphic class may point to more than can be sent: use a std::variant");
  return true;
}

/// Gives `x` a value.
template <optional_like T>
void engage(T& x, typename optional_traits<T>::element&& y) {
  if constexpr (is_owner<T>)
    x = std::make_unique<typename optional_traits<T>::element>(std::move(y));
  else
    x = std::move(y);
}

/// Calls `f(member)` for every member of a described T, those of its bases first.
template <class T, class F>
void for_each_member(F&& f) {
  static_assert(describes_all_members<T>(), "a member or base of this struct is left out of its description, and would "
                                            "not be sent: name it in BOOST_DESCRIBE_STRUCT, or specialize "
                                            "cluster_channel::leaves_out_members for this struct");
  boost::mp11::mp_for_each<members_of<T>>(std::forward<F>(f));
}

// -- what can be encoded ------------------------------------------------------

template <class T>
constexpr bool is_encodable();

template <class T>
inline constexpr bool all_encodable = false;
template <class... Ts>
inline constexpr bool all_encodable<std::variant<Ts...>> = (is_encodable<Ts>() && ...);
template <class... Ts>
inline constexpr bool all_encodable<std::tuple<Ts...>> = (is_encodable<Ts>() && ...);
template <class A, class B>
inline constexpr bool all_encodable<std::pair<A, B>> = is_encodable<A>() && is_encodable<B>();

/// Looks into the standard library's templates, but not into described structs, which may be recursive: what is wrong
/// inside of those is said when they are encoded.
template <class T>
constexpr bool is_encodable() {
  if constexpr (std::is_pointer_v<T> || std::is_reference_v<T> || std::is_const_v<T> || std::is_void_v<T>)
    return false;
  else if constexpr (adapted<T>)
    return is_encodable<travels_as<T>>();
  else if constexpr (scalar<T> || duration<T> || std::same_as<T, std::monostate> || described<T>)
    return true;
  else if constexpr (fixed_array<T>)
    return is_encodable<typename fixed_array_traits<T>::element>();
  else if constexpr (tuple_like<T> || variant_like<T>)
    return all_encodable<T>;
  else if constexpr (optional_like<T>)
    return std::is_object_v<typename optional_traits<T>::element> &&
           is_encodable<typename optional_traits<T>::element>();
  else if constexpr (container<T>)
    return is_encodable<element_t<T>>();
  else
    return inspectable<T>;
}

} // namespace cluster_channel::detail
