// The reading half of the binary payload codec. Not for users, who want `decode` of codec.hpp.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/type_traits.hpp>

#include <caf/meta/load_callback.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace cluster_channel {

/// Deepest nesting of values in values (numbers, bools and enums do not count) that is decoded. Bounds the stack that
/// hostile bytes can make a recursive type use. Encoding is not limited: what a program holds, it built itself.
inline constexpr std::size_t decode_depth_max = 256;

/// Most container elements of zero bytes (empty structs) in one payload: a claim of 2^32 of them costs four bytes.
inline constexpr std::size_t empty_elements_max = std::size_t{1} << 16;

/// Most memory that the elements of all containers in one payload of `size` bytes may take, each with what a node of a
/// list, set or map costs. A byte may stand for a large element (an empty optional), so a bound on what travels is none
/// on what it becomes. Room that containers keep for growing is not counted.
constexpr std::size_t decoded_bytes_max(std::size_t size) {
  return (std::size_t{16} << 20) + 16 * size;
}

namespace detail {

static_assert(std::endian::native == std::endian::little, "numbers are decoded as they lie in memory");

/// A CAF inspector that reads what `binary_writer` wrote. After the first problem it reads nothing more. One thread;
/// borrows the bytes.
class binary_reader {
public:
  using result_type = caf::error;
  static constexpr bool reads_state = false;
  static constexpr bool writes_state = true;

  explicit binary_reader(bytes_view data, std::size_t depth_max = decode_depth_max)
      : rest_{data}, size_{data.size()}, depth_max_{depth_max}, memory_{decoded_bytes_max(data.size())} {}

  template <class... Ts>
  result_type operator()(Ts&&... xs) {
    // Annotations may be const; anything else that is const is a bug of the inspect function.
    (read(const_cast<std::remove_const_t<std::remove_reference_t<Ts>>&>(xs)), ...);
    return problem_.empty() ? caf::error{} : make_error(errc::bad_payload, problem_);
  }

  /// What went wrong and where; empty if nothing did and no byte is left.
  std::string problem() const {
    if (!problem_.empty())
      return problem_ + " at byte " + std::to_string(size_ - rest_.size()) + " of " + std::to_string(size_);
    if (!rest_.empty())
      return std::to_string(rest_.size()) + " of " + std::to_string(size_) + " bytes are left over";
    return {};
  }

  /// The bytes after what was read.
  bytes_view rest() const noexcept { return rest_; }

private:
  template <class T>
  void read(T& x) {
    if (!problem_.empty())
      return;
    if constexpr (caf::meta::is_load_callback<T>::value) {
      if (caf::error err = x.fun())
        fail(failure_of(err).text);
    } else if constexpr (annotation<T> || std::same_as<T, std::monostate>) {
      // nothing was said
    } else if constexpr (bool_like<T>) {
      x = static_cast<T>(read_bool());
    } else if constexpr (scalar<T>) {
      take(&x, sizeof x);
    } else if constexpr (duration<T>) {
      typename T::rep count{};
      read(count);
      x = T{count};
    } else {
      if (++depth_ > depth_max_)
        fail("values nested more than " + std::to_string(depth_max_) + " deep");
      else
        read_nested(x);
      --depth_;
    }
  }

  template <class T>
  void read_nested(T& x) {
    if constexpr (adapted<T>) {
      travels_as<T> y{};
      read(y);
      if (problem_.empty())
        x = payload_adapter<T>::from_payload(std::move(y));
    } else if constexpr (described<T>) {
      for_each_member<T>([&](auto member) { read(x.*member.pointer); });
    } else if constexpr (fixed_array<T>) {
      read_array(x);
    } else if constexpr (tuple_like<T>) {
      std::apply([&](auto&... ys) { (read(ys), ...); }, x);
    } else if constexpr (optional_like<T>) {
      static_assert(holds_all_of_its_value<T>());
      x = T{};
      if (read_bool()) {
        typename optional_traits<T>::element y{};
        if (is_owner<T> && !take_memory(sizeof y + 2 * sizeof(void*)))
          return;
        read(y);
        engage(x, std::move(y));
      }
    } else if constexpr (variant_like<T>) {
      read_variant(x);
    } else if constexpr (plain_run<T>) {
      read_run(x);
    } else if constexpr (container<T>) {
      read_container(x);
    } else {
      static_assert(inspectable<T>, "this type cannot be decoded: describe it with BOOST_DESCRIBE_STRUCT and public "
                                    "members only, give it a CAF inspect() function, or specialize "
                                    "cluster_channel::payload_adapter for it");
      if (caf::error err = inspect(*this, x); err && problem_.empty())
        fail(failure_of(err).text);
    }
  }

  template <fixed_array T>
  void read_array(T& x) {
    using value_type = typename fixed_array_traits<T>::element;
    if constexpr (plain_scalar<value_type>) {
      take(std::data(x), fixed_array_traits<T>::size * sizeof(value_type));
    } else {
      for (auto& y : x)
        read(y);
    }
  }

  template <plain_run T>
  void read_run(T& x) {
    using value_type = typename T::value_type;
    const auto size = read_size();
    if (size > rest_.size() / sizeof(value_type))
      fail("a length of " + std::to_string(size) + " elements, more than the bytes that are left,");
    if (!problem_.empty())
      return;
    if constexpr (std::same_as<value_type, char> || std::same_as<value_type, unsigned char> ||
                  std::same_as<value_type, std::byte>) { // spares a large one the zeroes
      const auto* first = reinterpret_cast<const value_type*>(rest_.data());
      x.assign(first, first + size);
      rest_ = rest_.subspan(size);
    } else {
      x.resize(size);
      take(x.data(), size * sizeof(value_type));
    }
  }

  /// Elements are added one by one as their bytes prove to be there, so that a false count allocates nothing.
  template <container T>
  void read_container(T& x) {
    x.clear();
    // Elements that do not lie side by side come with pointers.
    constexpr std::size_t node = std::ranges::random_access_range<T> ? 0 : 4 * sizeof(void*);
    for (auto left = read_size(); left > 0; --left) {
      const auto before = rest_.size();
      if (!take_memory(sizeof(element_t<T>) + node))
        return;
      element_t<T> y{};
      read(y);
      if (rest_.size() == before && ++empty_elements_ > empty_elements_max)
        fail("more than " + std::to_string(empty_elements_max) + " elements of zero bytes");
      if (!problem_.empty())
        return;
      if constexpr (requires { typename T::key_type; }) {
        const auto size = x.size();
        x.insert(x.end(), std::move(y));
        if (x.size() == size)
          return fail("a key for the second time, ending");
      } else {
        x.insert(x.end(), std::move(y));
      }
    }
  }

  template <class... Ts>
  void read_variant(std::variant<Ts...>& x) {
    const auto index = read_size();
    if (problem_.empty() && index >= sizeof...(Ts))
      fail("alternative " + std::to_string(index) + " of a variant that has " + std::to_string(sizeof...(Ts)) + ",");
    if (!problem_.empty())
      return;
    boost::mp11::mp_with_index<sizeof...(Ts)>(index, [&](auto i) {
      std::variant_alternative_t<i, std::variant<Ts...>> y{};
      read(y);
      x.template emplace<i>(std::move(y));
    });
  }

  bool read_bool() {
    std::uint8_t x = 0;
    take(&x, sizeof x);
    if (x > 1)
      fail("a bool that is neither 0 nor 1, ending");
    return x == 1;
  }

  std::uint32_t read_size() {
    std::uint32_t result = 0;
    take(&result, sizeof result);
    return result;
  }

  bool take_memory(std::size_t size) {
    if (size > memory_)
      fail("more than " + std::to_string(decoded_bytes_max(size_)) + " bytes of memory for elements");
    else
      memory_ -= size;
    return problem_.empty();
  }

  void take(void* to, std::size_t size) {
    if (size > rest_.size())
      fail("the bytes end, " + std::to_string(size) + " more are needed");
    if (!problem_.empty())
      return;
    if (size > 0)
      std::memcpy(to, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }

  void fail(std::string_view problem) {
    if (problem_.empty())
      problem_ = problem.empty() ? "an error without text" : problem;
  }

  bytes_view rest_;
  const std::size_t size_;
  const std::size_t depth_max_;
  std::size_t memory_; // what elements may still take
  std::size_t depth_ = 0;
  std::size_t empty_elements_ = 0;
  std::string problem_;
};

} // namespace detail

} // namespace cluster_channel
