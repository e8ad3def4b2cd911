// The structure of a type in words, so that two programs can tell whether they mean the same: names of members count,
// names of C++ types do not. `{bar: i32, tags: [string]}` for a struct with an int and a vector of strings.
//
// Words: `void`, `bool`, `i8` … `u64`, `f32`, `f64`, `string`, `nothing` (std::monostate), `enum u8`, `[T]` (sequences
// and sets), `[T; 3]` (arrays), `map<K, V>`, `optional<T>`, `(A, B)` (pairs and tuples), `A | B` (variants),
// `i64 * 1/1000 s` (durations), `{name: T}` (described structs). `^1` is the struct that is written just here, `^2` the
// one around it: that is how recursive types end. A type with a CAF `inspect` is the name it gives itself by
// `caf::meta::type_name`, or `opaque`: its members are not known.
#pragma once

#include <cluster_channel/serialization/type_traits.hpp>

#include <caf/meta/type_name.hpp>

#include <string>
#include <typeindex>
#include <typeinfo>
#include <vector>

namespace cluster_channel {

namespace detail {

/// A CAF inspector that finds the name a type gives itself, and looks at nothing else.
struct type_name_finder {
  using result_type = caf::error;
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;

  template <class... Ts>
  result_type operator()(const Ts&... xs) {
    (look(xs), ...);
    return {};
  }

  template <class T>
  void look(const T& x) {
    if constexpr (std::same_as<T, caf::meta::type_name_t>)
      if (name.empty())
        name = x.value;
  }

  std::string name;
};

class signature_writer {
public:
  template <class T>
  std::string of() {
    if constexpr (std::is_void_v<T>)
      return "void";
    else if constexpr (std::same_as<T, bool>)
      return "bool";
    else if constexpr (std::is_enum_v<T>)
      return "enum " + of<std::underlying_type_t<T>>();
    else if constexpr (std::is_floating_point_v<T>)
      return "f" + std::to_string(8 * sizeof(T));
    else if constexpr (std::is_arithmetic_v<T>)
      return (std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(T));
    else if constexpr (std::same_as<T, std::string>)
      return "string";
    else if constexpr (std::same_as<T, std::monostate>)
      return "nothing";
    else if constexpr (duration<T>)
      return of<typename T::rep>() + " * " + std::to_string(T::period::num) + "/" + std::to_string(T::period::den) +
             " s";
    else if constexpr (described<T>)
      return of_struct<T>();
    else if constexpr (fixed_array<T>)
      return "[" + of<typename fixed_array_traits<T>::element>() + "; " + std::to_string(fixed_array_traits<T>::size) +
             "]";
    else if constexpr (variant_like<T> || tuple_like<T>)
      return of_elements(static_cast<T*>(nullptr));
    else if constexpr (optional_like<T>)
      return "optional<" + of<typename optional_traits<T>::element>() + ">";
    else if constexpr (requires { typename T::mapped_type; })
      return "map<" + of<typename T::key_type>() + ", " + of<typename T::mapped_type>() + ">";
    else if constexpr (container<T>)
      return "[" + of<element_t<T>>() + "]";
    else
      return of_inspected<T>();
  }

private:
  template <class T>
  std::string of_struct() {
    for (std::size_t i = open_.size(); i > 0; --i)
      if (open_[i - 1] == typeid(T))
        return "^" + std::to_string(open_.size() - i + 1);
    open_.emplace_back(typeid(T));
    std::string result = "{";
    for_each_member<T>([&](auto member) {
      using type = std::remove_reference_t<decltype(std::declval<T&>().*member.pointer)>;
      result += (result.size() > 1 ? ", " : "") + std::string{member.name} + ": " + of<type>();
    });
    open_.pop_back();
    return result + "}";
  }

  template <class T>
  std::string of_inspected() {
    if constexpr (inspectable<T> && std::default_initializable<T>) {
      type_name_finder finder;
      T x{};
      (void)inspect(finder, x);
      if (!finder.name.empty())
        return finder.name;
    }
    return "opaque";
  }

  template <class... Ts>
  std::string of_elements(std::variant<Ts...>*) {
    std::string result;
    ((result += (result.empty() ? "" : " | ") + of_alternative<Ts>()), ...);
    return result;
  }
  template <class... Ts>
  std::string of_elements(std::tuple<Ts...>*) {
    std::string result = "(";
    ((result += (result.size() > 1 ? ", " : "") + of<Ts>()), ...);
    return result + ")";
  }
  template <class A, class B>
  std::string of_elements(std::pair<A, B>*) {
    return "(" + of<A>() + ", " + of<B>() + ")";
  }

  /// A variant in a variant is encoded differently from one flat variant, and reads differently.
  template <class T>
  std::string of_alternative() {
    if constexpr (variant_like<T>)
      return "(" + of<T>() + ")";
    else
      return of<T>();
  }

  std::vector<std::type_index> open_;
};

} // namespace detail

/// The structure of T in words. Thread-safe.
template <class T>
std::string signature_of() {
  return detail::signature_writer{}.of<T>();
}

/// The structure of a slot in words: `{bar: i32} -> {baz: i32}`. Thread-safe.
template <class Request, class Response>
std::string slot_signature() {
  return signature_of<Request>() + " -> " + signature_of<Response>();
}

} // namespace cluster_channel
