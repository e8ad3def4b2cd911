// The writing half of the binary payload codec. Not for users, who want `encode` of codec.hpp.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/type_traits.hpp>

#include <caf/meta/save_callback.hpp>

#include <bit>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace cluster_channel::detail {

static_assert(std::endian::native == std::endian::little, "numbers are encoded as they lie in memory");

/// A CAF inspector that appends to a byte vector. One thread; borrows the vector.
class binary_writer {
public:
  using result_type = caf::error;
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;

  explicit binary_writer(bytes& out) : out_{out} {}

  /// Writes `xs` in order.
  /// @returns the first error that a `save_callback` reported so far; nothing is written after it.
  /// @throws std::length_error for a container of 2^32 elements or more.
  template <class... Ts>
  result_type operator()(Ts&&... xs) {
    (write(xs), ...);
    return error_;
  }

private:
  template <class T>
  void write(const T& x) {
    if (error_)
      return;
    if constexpr (caf::meta::is_save_callback<T>::value) {
      error_ = x.fun();
    } else if constexpr (annotation<T> || std::same_as<T, std::monostate>) {
      // nothing to say
    } else if constexpr (adapted<T>) {
      write<travels_as<T>>(payload_adapter<T>::to_payload(x));
    } else if constexpr (scalar<T>) {
      put(&x, sizeof x);
    } else if constexpr (duration<T>) {
      write(x.count());
    } else if constexpr (described<T>) {
      for_each_member<T>([&](auto member) { write(x.*member.pointer); });
    } else if constexpr (fixed_array<T>) {
      write_array(x);
    } else if constexpr (tuple_like<T>) {
      std::apply([&](const auto&... ys) { (write(ys), ...); }, x);
    } else if constexpr (optional_like<T>) {
      static_assert(holds_all_of_its_value<T>());
      write(static_cast<bool>(x));
      if (x)
        write(*x);
    } else if constexpr (variant_like<T>) {
      write_size(x.index());
      std::visit([&](const auto& y) { write(y); }, x);
    } else if constexpr (plain_run<T>) {
      write_size(x.size());
      put(x.data(), x.size() * sizeof(typename T::value_type));
    } else if constexpr (container<T>) {
      write_size(static_cast<std::size_t>(std::ranges::distance(x)));
      for (const auto& y : x)
        write_element<element_t<T>>(y);
    } else {
      static_assert(inspectable<T>, "this type cannot be encoded: describe it with BOOST_DESCRIBE_STRUCT and public "
                                    "members only, give it a CAF inspect() function, or specialize "
                                    "cluster_channel::payload_adapter for it");
      // CAF's inspect takes a mutable reference for both directions; a reading inspector changes nothing.
      if (caf::error err = inspect(*this, const_cast<T&>(x)); err && !error_)
        error_ = std::move(err);
    }
  }

  template <fixed_array T>
  void write_array(const T& x) {
    using value_type = typename fixed_array_traits<T>::element;
    if constexpr (plain_scalar<value_type>) {
      put(std::data(x), fixed_array_traits<T>::size * sizeof(value_type));
    } else {
      for (const auto& y : x)
        write(y);
    }
  }

  template <class Element, class T>
  void write_element(const T& x) {
    if constexpr (std::same_as<Element, T>) {
      write(x);
    } else if constexpr (tuple_like<Element> && tuple_like<T>) { // a map's pair with its const key
      write(x.first);
      write(x.second);
    } else {
      write(static_cast<Element>(x));
    }
  }

  void write_size(std::size_t size) {
    if (size > std::numeric_limits<std::uint32_t>::max())
      throw std::length_error{"a container of 2^32 elements or more cannot be encoded"};
    write(static_cast<std::uint32_t>(size));
  }

  void put(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), first, first + size);
  }

  bytes& out_;
  caf::error error_;
};

} // namespace cluster_channel::detail
