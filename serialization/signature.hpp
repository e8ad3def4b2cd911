// The structure of a type in words, so that two programs can tell whether they mean the same: names of members count,
// names of C++ types do not. `{bar: i32, tags: [string]}` for a struct with an int and a vector of strings.
#pragma once

#include <cluster_channel/serialization/codec.hpp>

#include <boost/core/demangle.hpp>

#include <string>
#include <typeindex>
#include <typeinfo>
#include <vector>

namespace cluster_channel {

namespace detail {

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
      return of<typename T::rep>() + "*" + std::to_string(T::period::num) + "/" + std::to_string(T::period::den) + "s";
    else if constexpr (described<T>)
      return of_struct<T>();
    else if constexpr (variant_like<T> || tuple_like<T>)
      return of_elements(static_cast<T*>(nullptr));
    else if constexpr (optional_like<T>)
      return of<typename T::value_type>() + "?";
    else if constexpr (requires { typename T::mapped_type; })
      return "[" + of<typename T::key_type>() + ": " + of<typename T::mapped_type>() + "]";
    else if constexpr (container<T>)
      return "[" + of<element_t<T>>() + "]";
    else
      return boost::core::demangle(typeid(T).name()); // CAF's inspect tells no structure
  }

private:
  template <class T>
  std::string of_struct() {
    // A struct inside of itself is named by how many levels up it is.
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

  template <class... Ts>
  std::string of_elements(std::variant<Ts...>*) {
    return joined<Ts...>(" | ");
  }
  template <class... Ts>
  std::string of_elements(std::tuple<Ts...>*) {
    return joined<Ts...>(", ");
  }
  template <class A, class B>
  std::string of_elements(std::pair<A, B>*) {
    return joined<A, B>(", ");
  }
  template <class T, std::size_t N>
  std::string of_elements(std::array<T, N>*) {
    return "[" + of<T>() + "; " + std::to_string(N) + "]";
  }

  template <class... Ts>
  std::string joined(const char* separator) {
    std::string result = "(";
    ((result += (result.size() > 1 ? separator : "") + of<Ts>()), ...);
    return result + ")";
  }

  std::vector<std::type_index> open_;
};

} // namespace detail

/// The structure of T in words.
template <class T>
std::string signature_of() {
  return detail::signature_writer{}.of<T>();
}

/// The structure of a slot in words: `{bar: i32} -> {baz: i32}`.
template <class Request, class Response>
std::string slot_signature() {
  return signature_of<Request>() + " -> " + signature_of<Response>();
}

} // namespace cluster_channel
