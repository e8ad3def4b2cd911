// The reading half of the JSON form of payloads. Not for users, who want `from_json` of json.hpp.
#pragma once

#include <cluster_channel/serialization/json_writer.hpp>

#include <caf/expected.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace cluster_channel::detail {

template <class T>
concept read_by_user = requires(const boost::json::value& in) {
  tag_invoke(boost::json::value_to_tag<T>{}, in);
};

/// Elements that Node's Buffer holds.
template <class T>
concept byte_like = std::same_as<T, std::byte> || std::same_as<T, unsigned char>;

/// Members that an object may leave out, as JavaScript does with what is undefined.
template <class T>
concept may_be_missing = optional_like<T> || std::same_as<T, std::monostate>;

/// Bounds the work on one value: the alternatives of nested variants are tried one in another.
inline constexpr std::size_t json_steps_max = std::size_t{1} << 23;

/// Reads values until the first problem. One thread; borrows the JSON while it reads.
class json_reader {
public:
  using value = boost::json::value;

  explicit json_reader(json_integers integers) : integers_{integers} {}

  /// Reads `in` into `x`. @returns false, with a problem, if it does not fit.
  template <class T>
  bool operator()(const value& in, T& x) {
    if (++steps_ > json_steps_max)
      return fail_for_steps();
    if constexpr (read_by_user<T>)
      return read_user(in, x);
    else if constexpr (std::same_as<T, std::monostate>)
      return in.is_null() || fail(in, "null");
    else if constexpr (bool_like<T>)
      return read_bool(in, x);
    else if constexpr (described_enum<T>)
      return read_name(in, x);
    else if constexpr (std::is_enum_v<T>)
      return read_enum(in, x);
    else if constexpr (std::is_floating_point_v<T>)
      return read_real(in, x);
    else if constexpr (std::is_integral_v<T>)
      return read_integer(in, x);
    else if constexpr (duration<T>)
      return read_duration(in, x);
    else if constexpr (std::same_as<T, std::string>)
      return read_text(in, x);
    else if constexpr (described<T>)
      return read_object_of_members(in, x);
    else if constexpr (fixed_array<T>)
      return read_fixed_array(in, x);
    else if constexpr (tuple_like<T>)
      return read_tuple(in, x, std::make_index_sequence<std::tuple_size_v<T>>{});
    else if constexpr (optional_like<T>)
      return read_optional(in, x);
    else if constexpr (variant_like<T>)
      return read_variant(in, x);
    else if constexpr (string_map<T>)
      return read_map(in, x);
    else if constexpr (container<T>)
      return read_container(in, x);
    else
      return fail("its C++ type has no JSON form: describe it with BOOST_DESCRIBE_STRUCT and public members only");
  }

  const std::string& problem() const noexcept { return problem_; }

private:
  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool fail(const value& in, std::string_view wanted) {
    return fail(std::string{wanted} + " was expected, " + std::string{boost::json::to_string(in.kind())} + " came");
  }

  bool fail_for_steps() { return fail("it takes too many steps to find out which alternatives of variants fit"); }

  /// Says where the problem is.
  bool inside(std::string_view place) { return fail(std::string{place} + ": " + problem_); }

  template <class T>
  bool read_user(const value& in, T& x) {
    auto result = boost::json::try_value_to<T>(in);
    if (!result)
      return fail(result.error().message());
    x = std::move(*result);
    return true;
  }

  template <class T>
  bool read_bool(const value& in, T& x) {
    if (!in.is_bool())
      return fail(in, "a bool");
    x = static_cast<T>(in.get_bool());
    return true;
  }

  template <class T>
  bool read_name(const value& in, T& x) {
    if (!in.is_string())
      return fail(in, "an enumerator's name");
    const std::string name{in.get_string()};
    return boost::describe::enum_from_string(name.c_str(), x) || fail("\"" + name + "\" is no enumerator");
  }

  template <class T>
  bool read_enum(const value& in, T& x) {
    std::underlying_type_t<T> number{};
    if (!read_integer(in, number))
      return false;
    x = static_cast<T>(number);
    return true;
  }

  template <class T>
  bool read_real(const value& in, T& x) {
    if (!in.is_number())
      return fail(in, "a number");
    const auto number = in.is_double()  ? in.get_double()
                        : in.is_int64() ? static_cast<double>(in.get_int64())
                                        : static_cast<double>(in.get_uint64());
    if (!std::isfinite(number) || std::abs(number) > static_cast<double>(std::numeric_limits<T>::max()))
      return fail("a number is out of range");
    x = static_cast<T>(number);
    return true;
  }

  template <class T>
  bool read_integer(const value& in, T& x) {
    if (in.is_uint64())
      return read_integer_from(in.get_uint64(), x);
    if (in.is_int64())
      return read_integer_from(in.get_int64(), x);
    if (!in.is_double())
      return fail(in, "an integer");
    const auto number = in.get_double();
    if (std::trunc(number) != number)
      return fail("an integer was expected, " + boost::json::serialize(in) + " came");
    // Beyond this, several integers share one double.
    if (std::abs(number) > static_cast<double>(json_safe_integer_max))
      return fail(boost::json::serialize(in) + " is beyond 2^53 - 1, where doubles are no exact integers");
    return read_integer_from(static_cast<std::int64_t>(number), x);
  }

  template <class Number, class T>
  bool read_integer_from(Number number, T& x) {
    if (integers_ == json_integers::safe && !is_safe_integer(number))
      return fail(std::to_string(number) + " is beyond 2^53 - 1, which JavaScript cannot hold exactly: send it as a "
                                           "string");
    using limits = std::numeric_limits<T>;
    const auto fits = number < 0 ? std::is_signed_v<T> &&
                                       static_cast<std::int64_t>(number) >= static_cast<std::int64_t>(limits::min())
                                 : static_cast<std::uint64_t>(number) <= static_cast<std::uint64_t>(limits::max());
    if (!fits)
      return fail(std::to_string(number) + " is out of the range of its C++ type");
    x = static_cast<T>(number);
    return true;
  }

  template <class T>
  bool read_duration(const value& in, T& x) {
    typename T::rep count{};
    if (!(*this)(in, count))
      return false;
    x = T{count};
    return true;
  }

  bool read_text(const value& in, std::string& x) {
    if (!in.is_string())
      return fail(in, "a string");
    x.assign(in.get_string().data(), in.get_string().size());
    return true;
  }

  template <class T>
  bool read_object_of_members(const value& in, T& x) {
    if (!in.is_object())
      return fail(in, "an object");
    const auto& object = in.get_object();
    bool ok = fits_names_of<T>(object);
    for_each_member<T>([&](auto member) {
      if (ok)
        ok = read_member(object.if_contains(member.name), x.*member.pointer, member.name);
    });
    return ok;
  }

  template <class T>
  bool read_member(const value* in, T& x, std::string_view name) {
    if (in)
      return (*this)(*in, x) || inside(name);
    x = T{};
    return true;
  }

  /// Whether the object's members are those of T. To be asked before any is read: mostly that tells the structs of a
  /// variant apart.
  template <class T>
  bool fits_names_of(const boost::json::object& object) {
    std::size_t found = 0;
    std::string_view missing;
    for_each_member<T>([&](auto member) {
      using type = std::remove_reference_t<decltype(std::declval<T&>().*member.pointer)>;
      if (object.contains(member.name))
        ++found;
      else if (!may_be_missing<type>)
        missing = member.name;
    });
    if (!missing.empty())
      return fail("member " + std::string{missing} + " is missing");
    if (found == object.size())
      return true;
    std::string unknown;
    for (const auto& entry : object) {
      bool known = false;
      for_each_member<T>([&](auto member) { known = known || entry.key() == member.name; });
      if (!known)
        unknown = std::string{entry.key()};
    }
    return fail("member " + unknown + " is not declared");
  }

  template <class T>
  bool read_fixed_array(const value& in, T& x) {
    constexpr auto size = fixed_array_traits<T>::size;
    const auto* elements = array_in<typename fixed_array_traits<T>::element>(in);
    if (!elements || elements->size() != size)
      return fail(in, "an array of " + std::to_string(size));
    for (std::size_t i = 0; i < size; ++i)
      if (!(*this)((*elements)[i], x[i]))
        return inside("[" + std::to_string(i) + "]");
    return true;
  }

  template <class T, std::size_t... Is>
  bool read_tuple(const value& in, T& x, std::index_sequence<Is...>) {
    if (!in.is_array() || in.get_array().size() != sizeof...(Is))
      return fail(in, "an array of " + std::to_string(sizeof...(Is)));
    return (((*this)(in.get_array()[Is], std::get<Is>(x)) || inside("[" + std::to_string(Is) + "]")) && ...);
  }

  template <class T>
  bool read_optional(const value& in, T& x) {
    x = T{};
    if (in.is_null())
      return true;
    typename optional_traits<T>::element y{};
    if (!(*this)(in, y))
      return false;
    x = std::move(y);
    return true;
  }

  /// The first alternative that fits.
  template <class... Ts>
  bool read_variant(const value& in, std::variant<Ts...>& x) {
    const auto fits = [&]<class T>(T y) {
      if (!(*this)(in, y))
        return false;
      x = std::move(y);
      return true;
    };
    if ((fits(Ts{}) || ...))
      return true;
    return steps_ > json_steps_max ? fail_for_steps() : fail("none of the alternatives of a variant fits");
  }

  template <class T>
  bool read_map(const value& in, T& x) {
    if (!in.is_object())
      return fail(in, "an object");
    x.clear();
    for (const auto& entry : in.get_object()) {
      typename T::mapped_type y{};
      if (!(*this)(entry.value(), y))
        return inside(entry.key());
      x.insert({std::string{entry.key()}, std::move(y)});
    }
    return true;
  }

  template <class T>
  bool read_container(const value& in, T& x) {
    const auto* elements = array_in<element_t<T>>(in);
    if (!elements)
      return fail(in, "an array");
    x.clear();
    for (std::size_t i = 0; i < elements->size(); ++i) {
      element_t<T> y{};
      if (!(*this)((*elements)[i], y))
        return inside("[" + std::to_string(i) + "]");
      [[maybe_unused]] const auto size = x.size();
      x.insert(x.end(), std::move(y));
      if constexpr (requires { typename T::key_type; }) {
        if (x.size() == size)
          return fail("[" + std::to_string(i) + "] is there for the second time");
      }
    }
    return true;
  }

  /// An array, or for bytes what `JSON.stringify` makes of Node's Buffer: `{"type":"Buffer","data":[…]}`.
  template <class Element>
  static const boost::json::array* array_in(const value& in) {
    if (in.is_array())
      return &in.get_array();
    if constexpr (byte_like<Element>) {
      const auto* object = in.if_object();
      const auto* type = object ? object->if_contains("type") : nullptr;
      const auto* data = object ? object->if_contains("data") : nullptr;
      if (type && data && object->size() == 2 && *type == "Buffer")
        return data->if_array();
    }
    return nullptr;
  }

  json_integers integers_;
  std::size_t steps_ = 0;
  std::string problem_;
};

} // namespace cluster_channel::detail
