// The writing half of the JSON form of payloads. Not for users, who want `to_json` of json.hpp.
#pragma once

#include <cluster_channel/serialization/type_traits.hpp>

#include <boost/describe.hpp>
#include <boost/json.hpp>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <variant>

namespace cluster_channel {

/// Which integers JSON may carry.
enum class json_integers : std::uint8_t {
  all,  ///< whatever fits the type, as this library reads it back
  safe, ///< at most 2^53 - 1 either side of zero: what JavaScript, whose numbers are doubles, holds exactly
};

namespace detail {

/// JavaScript's Number.MAX_SAFE_INTEGER.
inline constexpr std::int64_t json_safe_integer_max = (std::int64_t{1} << 53) - 1;

template <class T>
constexpr bool is_safe_integer(T x) noexcept {
  if constexpr (sizeof(T) < sizeof(std::int64_t))
    return true;
  else if constexpr (std::is_signed_v<T>)
    return x >= -json_safe_integer_max && x <= json_safe_integer_max;
  else
    return x <= static_cast<std::uint64_t>(json_safe_integer_max);
}

/// Whether `text` is valid UTF-8: RFC 3629, so neither surrogates nor overlong forms.
bool is_utf8(std::string_view text) noexcept;

/// Types that come with Boost.JSON conversions of their user's; those go before the library's own form.
template <class T>
concept written_by_user = std::is_class_v<T> && requires(boost::json::value& out, const T& x) {
  tag_invoke(boost::json::value_from_tag{}, out, x);
};

/// Enums described with BOOST_DESCRIBE_ENUM.
template <class T>
concept described_enum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

/// Maps that become objects: not those that hold a key several times.
template <class T>
concept string_map = requires(T& x) {
  typename T::mapped_type;
  requires std::same_as<typename T::key_type, std::string>;
  x.try_emplace(std::string{});
};

/// Throws std::range_error for what has no JSON form. No state but its option.
class json_writer {
public:
  explicit json_writer(json_integers integers) : integers_{integers} {}

  template <class T>
  boost::json::value operator()(const T& x) const {
    if constexpr (written_by_user<T>)
      return boost::json::value_from(x);
    else if constexpr (std::same_as<T, std::monostate>)
      return nullptr;
    else if constexpr (bool_like<T>)
      return static_cast<bool>(x);
    else if constexpr (described_enum<T>)
      return name_of(x);
    else if constexpr (std::is_enum_v<T>)
      return integer(static_cast<std::underlying_type_t<T>>(x));
    else if constexpr (std::is_floating_point_v<T>)
      return real(x);
    else if constexpr (std::is_integral_v<T>)
      return integer(x);
    else if constexpr (duration<T>)
      return (*this)(x.count());
    else if constexpr (std::same_as<T, std::string>)
      return text(x);
    else if constexpr (described<T>)
      return object_of_members(x);
    else if constexpr (fixed_array<T>)
      return array<typename fixed_array_traits<T>::element>(x);
    else if constexpr (tuple_like<T>)
      return std::apply([this](const auto&... ys) { return boost::json::array{(*this)(ys)...}; }, x);
    else if constexpr (optional_like<T>)
      return x ? (*this)(*x) : boost::json::value(nullptr);
    else if constexpr (variant_like<T>)
      return std::visit([this](const auto& y) { return (*this)(y); }, x);
    else if constexpr (string_map<T>)
      return object(x);
    else if constexpr (container<T>)
      return array<element_t<T>>(x);
    else
      throw std::range_error{std::string{"type "} + typeid(T).name() +
                             " has no JSON form: describe it with BOOST_DESCRIBE_STRUCT and public members only"};
  }

private:
  template <class T>
  static boost::json::value name_of(T x) {
    const auto* name = boost::describe::enum_to_string(x, nullptr);
    if (!name)
      throw std::range_error{std::to_string(static_cast<std::int64_t>(x)) + " is none of its enum's enumerators"};
    return boost::json::string{name};
  }

  template <class T>
  boost::json::value integer(T x) const {
    if (integers_ == json_integers::safe && !is_safe_integer(x))
      throw std::range_error{std::to_string(x) +
                             " is beyond 2^53 - 1, which JavaScript cannot hold exactly: send it as a string"};
    if constexpr (std::is_signed_v<T>)
      return static_cast<std::int64_t>(x);
    else
      return static_cast<std::uint64_t>(x);
  }

  static boost::json::value real(double x) {
    if (!std::isfinite(x))
      throw std::range_error{std::to_string(x) + " is no JSON number"};
    return x;
  }

  static boost::json::value text(const std::string& x) {
    if (!is_utf8(x))
      throw std::range_error{"a string is no valid UTF-8: send bytes as std::vector<std::byte>"};
    return boost::json::string{x};
  }

  template <class Element, class T>
  boost::json::value array(const T& xs) const {
    boost::json::array result;
    for (const auto& x : xs) {           // of vector<bool> a value, hence the cast
      if constexpr (tuple_like<Element>) // a map's pair with its const key
        result.push_back(std::apply([this](const auto&... ys) { return boost::json::array{(*this)(ys)...}; }, x));
      else
        result.push_back((*this)(static_cast<const Element&>(x)));
    }
    return result;
  }

  template <class T>
  boost::json::value object(const T& xs) const {
    boost::json::object result;
    for (const auto& [key, x] : xs) {
      if (!is_utf8(key))
        throw std::range_error{"a key is no valid UTF-8"};
      result.insert_or_assign(key, (*this)(x));
    }
    return result;
  }

  template <class T>
  boost::json::value object_of_members(const T& x) const {
    boost::json::object result;
    for_each_member<T>([&](auto member) {
      try {
        result.insert_or_assign(member.name, (*this)(x.*member.pointer));
      } catch (const std::range_error& ex) {
        throw std::range_error{std::string{member.name} + ": " + ex.what()};
      }
    });
    return result;
  }

  json_integers integers_;
};

} // namespace detail

} // namespace cluster_channel
