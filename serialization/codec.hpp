// The binary payload codec: C++ values to bytes and back.
//
// Encodes numbers, enums, bool, std::string, containers, std::array, std::pair, std::tuple, maps and sets,
// std::optional, std::variant, std::monostate, std::chrono::duration, structs described with Boost.Describe, and types
// with a CAF `inspect`. The byte grammar is in wire_format.md.
//
// Decoding trusts nothing: every length is checked against the bytes that are left before anything is allocated, and
// nesting is limited. CAF's own binary_deserializer does not serve here: version 0.17 resizes a string to the length
// found in the bytes, up to 4 GiB, before it looks whether they are there.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>
#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/type_traits.hpp>

#include <caf/expected.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace cluster_channel {

/// Deepest nesting of values in values that is decoded. Bounds the stack that hostile bytes can make a recursive type
/// use.
inline constexpr std::size_t decode_depth_max = 200;

/// Most elements of zero bytes each (empty structs) that a container may hold when decoded: their count costs nothing
/// to claim.
inline constexpr std::size_t empty_elements_max = std::size_t{1} << 16;

namespace detail {

static_assert(std::endian::native == std::endian::little, "numbers are encoded as they lie in memory");

/// Finds whether a type has an `inspect` that takes any CAF inspector.
struct probe_inspector {
  using result_type = bool;
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;
  template <class... Ts>
  bool operator()(Ts&&...);
};

template <class T>
concept inspectable = requires(probe_inspector& f, T& x) {
  inspect(f, x);
};

template <class T>
constexpr bool is_encodable();

template <class T>
struct encodable_elements : std::bool_constant<is_encodable<T>()> {};
template <class... Ts>
struct encodable_elements<std::variant<Ts...>> : std::bool_constant<(is_encodable<Ts>() && ...)> {};
template <class... Ts>
struct encodable_elements<std::tuple<Ts...>> : std::bool_constant<(is_encodable<Ts>() && ...)> {};
template <class A, class B>
struct encodable_elements<std::pair<A, B>> : std::bool_constant<is_encodable<A>() && is_encodable<B>()> {};
template <class T, std::size_t N>
struct encodable_elements<std::array<T, N>> : std::bool_constant<is_encodable<T>()> {};

/// Looks into the standard library's templates, but not into described structs, which may be recursive: what is wrong
/// inside of those is said when they are encoded.
template <class T>
constexpr bool is_encodable() {
  if constexpr (std::is_pointer_v<T> || std::is_reference_v<T> || std::is_const_v<T>)
    return false;
  else if constexpr (scalar<T> || duration<T> || std::same_as<T, std::monostate> || described<T>)
    return true;
  else if constexpr (tuple_like<T> || variant_like<T>)
    return encodable_elements<T>::value;
  else if constexpr (optional_like<T>)
    return is_encodable<typename T::value_type>();
  else if constexpr (container<T>)
    return is_encodable<element_t<T>>();
  else
    return inspectable<T>;
}

/// A CAF inspector that appends to a byte vector.
class binary_writer {
public:
  using result_type = void;
  static constexpr bool reads_state = true;
  static constexpr bool writes_state = false;

  explicit binary_writer(bytes& out) : out_{out} {}

  template <class... Ts>
  void operator()(Ts&&... xs) {
    (write(xs), ...);
  }

private:
  template <class T>
  void write(const T& x) {
    if constexpr (std::is_base_of_v<caf::meta::annotation, T> || std::same_as<T, std::monostate>) {
      // nothing to say
    } else if constexpr (scalar<T>) {
      put(&x, sizeof x);
    } else if constexpr (duration<T>) {
      write(x.count());
    } else if constexpr (described<T>) {
      for_each_member<T>([&](auto member) { write(x.*member.pointer); });
    } else if constexpr (tuple_like<T>) {
      std::apply([&](const auto&... ys) { (write(ys), ...); }, x);
    } else if constexpr (optional_like<T>) {
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
      static_assert(inspectable<T>, "this type cannot be encoded: describe it with BOOST_DESCRIBE_STRUCT, or give it a "
                                    "CAF inspect() function");
      // CAF's inspect takes a mutable reference for both directions; a reading inspector changes nothing.
      inspect(*this, const_cast<T&>(x)); // NOLINT(cppcoreguidelines-pro-type-const-cast)
    }
  }

  template <class Element, class T>
  void write_element(const T& x) {
    if constexpr (std::same_as<T, bool> || std::same_as<Element, T>) {
      write(x);
    } else if constexpr (tuple_like<Element> && tuple_like<T>) {
      write(x.first);
      write(x.second);
    } else {
      write(static_cast<Element>(x)); // std::vector<bool>
    }
  }

  void write_size(std::size_t size) {
    // A container of 2^32 elements is beyond any frame; the check of the frame's size reports it.
    write(static_cast<std::uint32_t>(std::min<std::size_t>(size, std::numeric_limits<std::uint32_t>::max())));
  }

  void put(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), first, first + size);
  }

  bytes& out_;
};

/// A CAF inspector that reads what `binary_writer` wrote. After the first error it reads nothing more.
class binary_reader {
public:
  using result_type = bool;
  static constexpr bool reads_state = false;
  static constexpr bool writes_state = true;

  explicit binary_reader(bytes_view data) : rest_{data}, size_{data.size()} {}

  template <class... Ts>
  bool operator()(Ts&&... xs) {
    (read(const_cast<std::remove_const_t<std::remove_reference_t<Ts>>&>(xs)), ...); // NOLINT: annotations are const
    return problem_ == nullptr;
  }

  /// What went wrong and where; empty if nothing did and no byte is left.
  std::string problem() const {
    if (problem_)
      return std::string{problem_} + " at byte " + std::to_string(size_ - rest_.size()) + " of " +
             std::to_string(size_);
    if (!rest_.empty())
      return std::to_string(rest_.size()) + " bytes too many";
    return {};
  }

private:
  template <class T>
  void read(T& x) {
    if (problem_)
      return;
    if constexpr (std::is_base_of_v<caf::meta::annotation, T> || std::same_as<T, std::monostate>) {
      // nothing was said
    } else if constexpr (std::same_as<T, bool>) {
      x = read_bool();
    } else if constexpr (scalar<T>) {
      take(&x, sizeof x);
    } else if constexpr (duration<T>) {
      typename T::rep count{};
      read(count);
      x = T{count};
    } else {
      if (++depth_ > decode_depth_max)
        problem_ = "values nested too deeply";
      read_nested(x);
      --depth_;
    }
  }

  template <class T>
  void read_nested(T& x) {
    if constexpr (described<T>) {
      for_each_member<T>([&](auto member) { read(x.*member.pointer); });
    } else if constexpr (tuple_like<T>) {
      std::apply([&](auto&... ys) { (read(ys), ...); }, x);
    } else if constexpr (optional_like<T>) {
      x = T{};
      if (read_bool()) {
        typename T::value_type y{};
        read(y);
        x = std::move(y);
      }
    } else if constexpr (variant_like<T>) {
      read_variant(x);
    } else if constexpr (plain_run<T>) {
      constexpr auto element_size = sizeof(typename T::value_type);
      const auto size = read_size();
      if (size > rest_.size() / element_size)
        problem_ = "a length beyond the end";
      if (problem_)
        return;
      x.resize(size);
      take(x.data(), size * element_size);
    } else if constexpr (container<T>) {
      read_container(x);
    } else {
      static_assert(inspectable<T>, "this type cannot be decoded: describe it with BOOST_DESCRIBE_STRUCT, or give it a "
                                    "CAF inspect() function");
      inspect(*this, x);
    }
  }

  template <class T>
  void read_container(T& x) {
    x.clear();
    std::size_t empty_elements = 0;
    for (auto left = read_size(); left > 0 && !problem_; --left) {
      const auto before = rest_.size();
      element_t<T> y{};
      read(y);
      if (rest_.size() == before && ++empty_elements > empty_elements_max)
        problem_ = "too many empty elements";
      if (problem_)
        return;
      const auto size = std::ranges::distance(x);
      x.insert(x.end(), std::move(y));
      if constexpr (requires { typename T::key_type; })
        if (std::ranges::distance(x) == size)
          problem_ = "a key twice";
    }
  }

  template <class... Ts>
  void read_variant(std::variant<Ts...>& x) {
    const auto index = read_size();
    if (index >= sizeof...(Ts)) {
      problem_ = "an alternative that the variant does not have";
      return;
    }
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
      problem_ = "a bool that is neither 0 nor 1";
    return x == 1;
  }

  std::uint32_t read_size() {
    std::uint32_t result = 0;
    take(&result, sizeof result);
    return result;
  }

  void take(void* to, std::size_t size) {
    if (!problem_ && size > rest_.size())
      problem_ = "the bytes end";
    if (problem_)
      return;
    if (size > 0)
      std::memcpy(to, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }

  bytes_view rest_;
  const std::size_t size_;
  std::size_t depth_ = 0;
  const char* problem_ = nullptr;
};

} // namespace detail

/// Types that can be encoded and decoded. A described struct counts, whatever its members are: a member that cannot be
/// encoded is an error of its own, where the struct is.
template <class T>
concept payload = detail::is_encodable<T>() && std::default_initializable<T>;

/// Types for the request or response of a slot.
template <class T>
concept slot_payload = std::is_void_v<T> || payload<T>;

/// The bytes that stand for `value`. Thread-safe.
template <class T>
bytes encode(const T& value) {
  bytes result;
  detail::binary_writer{result}(value);
  return result;
}

/// The value that `data` stands for, or `bad_payload` with what is wrong and where. Thread-safe.
template <class T>
caf::expected<T> decode(bytes_view data) {
  T result{};
  detail::binary_reader reader{data};
  reader(result);
  if (auto problem = reader.problem(); !problem.empty())
    return make_error(errc::bad_payload, "the payload does not decode: " + problem);
  return result;
}

} // namespace cluster_channel
