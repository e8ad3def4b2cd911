// The structure of a payload type as data, for code that looks into payloads at run time: JSON and signatures. Such
// code is compiled once, in this library, and walks descriptions; a slot costs its user's program some tables only.
//
// A description says which bytes the binary codec writes for a type (wire_format.md), so whoever has the bytes and the
// description needs no C++ value. It is constant, and names other descriptions by address: those of recursive types end
// in a circle.
//
// A kind of types is added here, in `make_description`, by a branch in the same place as in binary_writer.hpp and
// binary_reader.hpp:
// - One whose bytes are those of a kind that is there (as a path's are those of a string) gets that kind.
// - Other bytes: an enumerator of `type_kind`, and a case in signature.cpp, json_writer.cpp and json_reader.cpp, where
//   the compiler says what is missing; and a row in wire_format.md, json.hpp and docs/node.md.
// - One that is known by its `inspect` only, and of which more is known here: a specialization of `inspected_kind`.
#pragma once

#include <cluster_channel/serialization/describe.hpp>
#include <cluster_channel/serialization/json_conversion.hpp>
#include <cluster_channel/serialization/type_traits.hpp>

#include <caf/meta/type_name.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

namespace cluster_channel {

/// What a type's bytes are. The parts of a description in parentheses.
enum class type_kind : std::uint8_t {
  none,        ///< no value at all: `void`
  nothing,     ///< no bytes: std::monostate
  boolean,     ///< one byte
  integer,     ///< `size` bytes
  real,        ///< `size` bytes
  enumeration, ///< as the underlying type (one part)
  duration,    ///< the count (one part), in units of `num`/`den` seconds
  text,        ///< count:u32, then characters in UTF-8
  sequence,    ///< count:u32, then elements (one part)
  map,         ///< count:u32, then keys and values (two parts)
  array,       ///< `size` elements (one part)
  tuple,       ///< each part
  structure,   ///< each part; they have names
  optional,    ///< bool, then the value (one part) if true
  variant,     ///< index:u32, then that part
  json,        ///< as text, a JSON text: json_value
  opaque,      ///< known to an `inspect` only, so nobody can tell where it ends
};

struct type_description;

/// A member, an element, an alternative.
struct type_part {
  const char* name = nullptr; ///< of a member, as it travels
  const type_description* type = nullptr;
};

struct type_enumerator {
  const char* name = nullptr;
  std::int64_t value = 0; ///< of unsigned types of 64 bits the same bits
};

struct type_description {
  type_kind kind = type_kind::opaque;
  std::size_t size = 0;
  bool is_signed = false;
  bool is_unique = false; ///< a set or map that holds no element or key twice
  bool is_bytes = false;  ///< a sequence or array of std::byte or unsigned char
  std::intmax_t num = 0;
  std::intmax_t den = 0;
  std::span<const type_part> parts = {};
  std::span<const type_enumerator> enumerators = {}; ///< none if the enum is not described
  std::string (*own_name)() = nullptr;               ///< the name an `inspect` gives its type, or the empty string
  const char* meaning = nullptr;                     ///< what its adapter says of it
  json_conversion json = {};                         ///< of the user's own; goes before the library's form

  const type_description& part(std::size_t i = 0) const noexcept { return *parts[i].type; }
};

namespace detail {

template <class T>
struct description {
  static const type_description value;
};

/// What is known of the bytes of a type that has an `inspect`.
template <class T>
inline constexpr type_kind inspected_kind = type_kind::opaque;

template <class... Ts>
struct parts_of {
  static constexpr std::array<type_part, sizeof...(Ts)> value{type_part{nullptr, &description<Ts>::value}...};
};
/// Those that a type has as its template's arguments.
template <class T>
struct parts_in;
template <class... Ts>
struct parts_in<std::variant<Ts...>> : parts_of<Ts...> {};
template <class... Ts>
struct parts_in<std::tuple<Ts...>> : parts_of<Ts...> {};
template <class A, class B>
struct parts_in<std::pair<A, B>> : parts_of<A, B> {};

template <class Members>
struct parts_of_members;
template <template <class...> class List, class... Members>
struct parts_of_members<List<Members...>> {
  template <class T, class Class>
  static description<T> type_of(T Class::*);
  template <class Member>
  using type = decltype(type_of(Member::pointer));
  static_assert(!has_name_twice<List<Members...>>(), "two members of this struct travel by the same name: one was "
                                                     "renamed to that of another");
  static constexpr std::array<type_part, sizeof...(Members)> value{
      type_part{travelling_name<Members>, &type<Members>::value}...};
};

template <class Enumerators>
struct enumerators_of;
template <template <class...> class List, class... Enumerators>
struct enumerators_of<List<Enumerators...>> {
  static constexpr std::array<type_enumerator, sizeof...(Enumerators)> value{
      type_enumerator{Enumerators::name, static_cast<std::int64_t>(Enumerators::value)}...};
};

/// Enums described with BOOST_DESCRIBE_ENUM.
template <class T>
concept described_enum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

/// Containers that refuse what they hold already.
template <class T>
concept unique_container = requires(T& x, element_t<T> y) {
  typename T::key_type;
  x.insert(std::move(y)).second;
};

/// Elements that Node's Buffer holds.
template <class T>
inline constexpr bool is_byte = std::is_same_v<T, std::byte> || std::is_same_v<T, unsigned char>;

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

template <class T>
std::string own_name_of() {
  if constexpr (inspectable<T> && std::default_initializable<T>) {
    type_name_finder finder;
    T x{};
    (void)inspect(finder, x);
    return finder.name;
  } else {
    return {};
  }
}

template <class T>
constexpr type_description make_description() {
  if constexpr (adapted<T>) {
    auto result = make_description<travels_as<T>>();
    result.meaning = meaning_of<T>();
    return result;
  } else if constexpr (std::is_void_v<T>)
    return {.kind = type_kind::none};
  else if constexpr (std::same_as<T, std::monostate>)
    return {.kind = type_kind::nothing};
  else if constexpr (std::same_as<T, bool>)
    return {.kind = type_kind::boolean, .size = 1};
  else if constexpr (described_enum<T>)
    return {.kind = type_kind::enumeration,
            .parts = parts_of<std::underlying_type_t<T>>::value,
            .enumerators = enumerators_of<boost::describe::describe_enumerators<T>>::value};
  else if constexpr (std::is_enum_v<T>)
    return {.kind = type_kind::enumeration, .parts = parts_of<std::underlying_type_t<T>>::value};
  else if constexpr (std::is_arithmetic_v<T>)
    return {.kind = std::is_floating_point_v<T> ? type_kind::real : type_kind::integer,
            .size = sizeof(T),
            .is_signed = std::is_signed_v<T>};
  else if constexpr (std::same_as<T, std::string>)
    return {.kind = type_kind::text};
  else if constexpr (duration<T>)
    return {.kind = type_kind::duration,
            .num = T::period::num,
            .den = T::period::den,
            .parts = parts_of<typename T::rep>::value};
  else if constexpr (described<T>)
    return {
        .kind = type_kind::structure, .parts = parts_of_members<members_of<T>>::value, .json = json_conversion_of<T>()};
  else if constexpr (fixed_array<T>)
    return {.kind = type_kind::array,
            .size = fixed_array_traits<T>::size,
            .is_bytes = is_byte<typename fixed_array_traits<T>::element>,
            .parts = parts_of<typename fixed_array_traits<T>::element>::value};
  else if constexpr (tuple_like<T>)
    return {.kind = type_kind::tuple, .parts = parts_in<T>::value};
  else if constexpr (optional_like<T>)
    return {.kind = type_kind::optional, .parts = parts_of<typename optional_traits<T>::element>::value};
  else if constexpr (variant_like<T>)
    return {.kind = type_kind::variant, .parts = parts_in<T>::value};
  else if constexpr (container<T> && requires { typename T::mapped_type; })
    return {.kind = type_kind::map,
            .is_unique = unique_container<T>,
            .parts = parts_of<typename T::key_type, typename T::mapped_type>::value,
            .json = json_conversion_of<T>()};
  else if constexpr (container<T>)
    return {.kind = type_kind::sequence,
            .is_unique = unique_container<T>,
            .is_bytes = is_byte<element_t<T>>,
            .parts = parts_of<element_t<T>>::value,
            .json = json_conversion_of<T>()};
  else
    return {.kind = inspected_kind<T>, .own_name = own_name_of<T>, .json = json_conversion_of<T>()};
}

template <class T>
constinit const type_description description<T>::value = make_description<T>();

} // namespace detail

/// The description of T, which may be `void`. It lives as long as the program.
template <class T>
const type_description& description_of() noexcept {
  return detail::description<T>::value;
}

} // namespace cluster_channel
