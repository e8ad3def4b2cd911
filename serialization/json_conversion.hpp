// A user's own JSON for a type, by Boost.JSON's `tag_invoke`, in a form that code without templates can call. Not for
// users. Boost.JSON is not included here: whoever has such a type has included it.
#pragma once

#include <cluster_channel/serialization/binary_reader.hpp>
#include <cluster_channel/serialization/binary_writer.hpp>
#include <cluster_channel/serialization/bytes.hpp>

#include <stdexcept>
#include <type_traits>

namespace boost::json {

class value;
struct value_from_tag;
template <class T>
struct value_to_tag;

} // namespace boost::json

namespace cluster_channel {

/// Both throw what the user's conversion throws; null: there is none.
struct json_conversion {
  /// Writes the value at the front of `rest`, and drops its bytes there.
  /// @throws std::runtime_error too if these do not decode.
  void (*write)(bytes_view& rest, boost::json::value& out) = nullptr;

  /// Appends the bytes of the value that `in` stands for.
  void (*read)(const boost::json::value& in, bytes& out) = nullptr;
};

namespace detail {

/// Boost's tag; its type need not be complete where no such conversion is.
template <class T>
using value_from_tag = typename std::conditional<true, boost::json::value_from_tag, T>::type;

template <class T>
concept written_by_user = requires(boost::json::value& out, const T& x) {
  tag_invoke(value_from_tag<T>{}, out, x);
};

template <class T>
concept read_by_user = requires(const boost::json::value& in) {
  tag_invoke(boost::json::value_to_tag<T>{}, in);
};

template <class T>
constexpr json_conversion json_conversion_of() {
  json_conversion result;
  if constexpr (written_by_user<T>)
    result.write = [](bytes_view& rest, boost::json::value& out) {
      T x{};
      binary_reader reader{rest};
      if (const auto err = reader(x))
        throw std::runtime_error{failure_of(err).text};
      rest = reader.rest();
      tag_invoke(value_from_tag<T>{}, out, static_cast<const T&>(x));
    };
  if constexpr (read_by_user<T>)
    result.read = [](const boost::json::value& in, bytes& out) {
      const T x = tag_invoke(boost::json::value_to_tag<T>{}, in);
      binary_writer writer{out};
      if (const auto err = writer(x))
        throw std::runtime_error{failure_of(err).text};
    };
  return result;
}

} // namespace detail

} // namespace cluster_channel
