#include <cluster_channel/serialization/json_payload.hpp>
#include <cluster_channel/serialization/signature.hpp>

#include <boost/json.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <exception>
#include <new>
#include <string>

namespace cluster_channel::detail {

namespace {

namespace json = boost::json;

/// Walks bytes until the first problem. One thread; borrows the bytes.
class json_writer {
public:
  json_writer(bytes_view data, json_integers integers, const json_writer_limits& limits)
      : rest_{data}, size_{data.size()}, integers_{integers}, limits_{limits} {}

  /// Writes the next value to `out`. @returns false, with a problem, if it cannot.
  bool write(const type_description& type, json::value& out) {
    if (type.json.write)
      return write_by_user(type, out);
    switch (type.kind) {
    case type_kind::none:
    case type_kind::nothing:
      out = nullptr;
      return true;
    case type_kind::boolean:
      return write_bool(out);
    case type_kind::integer:
      return write_integer(type, out);
    case type_kind::real:
      return write_real(type, out);
    case type_kind::enumeration:
      return write_enumeration(type, out);
    case type_kind::duration:
      return write(type.part(), out);
    case type_kind::opaque:
      return fail("its C++ type has no JSON form: describe it with BOOST_DESCRIBE_STRUCT and public members only");
    default:
      break;
    }
    if (++depth_ > limits_.depth_max)
      return malformed("values nested more than " + std::to_string(limits_.depth_max) + " deep");
    const auto ok = write_nested(type, out);
    --depth_;
    return ok;
  }

  bool at_end() {
    return rest_.empty() ||
           malformed(std::to_string(rest_.size()) + " of " + std::to_string(size_) + " bytes are left over");
  }

  /// @param type what all bytes stand for
  caf::error error(const type_description& type) const {
    return make_error(errc::bad_payload, malformed_
                                             ? "the payload does not decode as " + signature_of(type) + ": " + problem_
                                             : "the value has no JSON form: " + problem_);
  }

private:
  bool write_nested(const type_description& type, json::value& out) {
    switch (type.kind) {
    case type_kind::text:
      return write_text(out);
    case type_kind::json:
      return write_json(out);
    case type_kind::sequence:
      return write_sequence(type.part(), out);
    case type_kind::map:
      return type.is_unique && type.part().kind == type_kind::text ? write_object(type.part(1), out)
                                                                   : write_pairs(type, out);
    case type_kind::array:
      return write_array(type, out);
    case type_kind::tuple:
      return write_tuple(type, out);
    case type_kind::structure:
      return write_structure(type, out);
    case type_kind::optional:
      return write_optional(type.part(), out);
    default:
      return write_variant(type, out);
    }
  }

  // -- single values ----------------------------------------------------------

  bool write_by_user(const type_description& type, json::value& out) {
    try {
      type.json.write(rest_, out);
      return true;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& ex) {
      return fail(ex.what());
    } catch (...) {
      return fail("an exception of unknown type");
    }
  }

  bool write_bool(json::value& out) {
    bool x = false;
    if (!take_bool(x))
      return false;
    out = x;
    return true;
  }

  bool write_integer(const type_description& type, json::value& out) {
    std::int64_t x = 0;
    if (!take_integer(type, x))
      return false;
    const auto bits = static_cast<std::uint64_t>(x);
    if (integers_ == json_integers::safe && !(type.is_signed ? is_safe_integer(x) : is_safe_integer(bits)))
      return fail(type.is_signed ? beyond_safe_integers(x) : beyond_safe_integers(bits));
    if (type.is_signed)
      out = x;
    else
      out = bits;
    return true;
  }

  bool write_real(const type_description& type, json::value& out) {
    double x = 0;
    if (type.size == sizeof(float)) {
      float narrow = 0;
      if (!take(&narrow, sizeof narrow))
        return false;
      x = static_cast<double>(narrow);
    } else if (!take(&x, sizeof x)) {
      return false;
    }
    if (!std::isfinite(x))
      return fail(std::to_string(x) + " is no JSON number");
    out = x;
    return true;
  }

  bool write_enumeration(const type_description& type, json::value& out) {
    const auto& underlying = type.part();
    if (underlying.kind == type_kind::boolean || type.enumerators.empty())
      return write(underlying, out);
    std::int64_t x = 0;
    if (!take_integer(underlying, x))
      return false;
    for (const auto& each : type.enumerators) {
      if (each.value == x) {
        out = json::string{each.name};
        return true;
      }
    }
    return fail(std::to_string(x) + " is none of its enum's enumerators");
  }

  bool write_text(json::value& out) {
    std::string_view text;
    if (!take_text(text))
      return false;
    if (!is_utf8(text))
      return fail("a string is no valid UTF-8: send bytes as std::vector<std::byte>");
    out = json::string{text.data(), text.size()};
    return true;
  }

  bool write_json(json::value& out) {
    std::string_view text;
    if (!take_text(text))
      return false;
    if (const auto err = json_from_text(text, out))
      return malformed(failure_of(err).text);
    if (const auto err = check_json(out, integers_))
      return fail(failure_of(err).text);
    return true;
  }

  // -- values of several ------------------------------------------------------

  bool write_sequence(const type_description& element, json::value& out) {
    std::uint32_t count = 0;
    if (!take(&count, sizeof count))
      return false;
    auto& result = out.emplace_array();
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto before = rest_.size();
      if (!write(element, result.emplace_back(nullptr)))
        return inside(i);
      if (!count_empty(before))
        return false;
    }
    return true;
  }

  bool write_array(const type_description& type, json::value& out) {
    auto& result = out.emplace_array();
    result.reserve(type.size);
    for (std::size_t i = 0; i < type.size; ++i)
      if (!write(type.part(), result.emplace_back(nullptr)))
        return inside(i);
    return true;
  }

  bool write_tuple(const type_description& type, json::value& out) {
    auto& result = out.emplace_array();
    result.reserve(type.parts.size());
    for (std::size_t i = 0; i < type.parts.size(); ++i)
      if (!write(type.part(i), result.emplace_back(nullptr)))
        return inside(i);
    return true;
  }

  bool write_pairs(const type_description& type, json::value& out) {
    std::uint32_t count = 0;
    if (!take(&count, sizeof count))
      return false;
    auto& result = out.emplace_array();
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto before = rest_.size();
      if (!write_tuple(type, result.emplace_back(nullptr)))
        return inside(i);
      if (!count_empty(before))
        return false;
    }
    return true;
  }

  bool write_object(const type_description& mapped, json::value& out) {
    std::uint32_t count = 0;
    if (!take(&count, sizeof count))
      return false;
    auto& result = out.emplace_object();
    for (std::uint32_t i = 0; i < count; ++i) {
      std::string_view key;
      if (!take_text(key))
        return false;
      if (!is_utf8(key))
        return fail("a key is no valid UTF-8");
      if (!write(mapped, result[json::string_view{key.data(), key.size()}]))
        return inside(key);
    }
    return true;
  }

  bool write_structure(const type_description& type, json::value& out) {
    auto& result = out.emplace_object();
    result.reserve(type.parts.size());
    for (const auto& member : type.parts)
      if (!write(*member.type, result[member.name]))
        return inside(member.name);
    return true;
  }

  bool write_optional(const type_description& element, json::value& out) {
    bool has_value = false;
    if (!take_bool(has_value))
      return false;
    out = nullptr;
    return !has_value || write(element, out);
  }

  bool write_variant(const type_description& type, json::value& out) {
    std::uint32_t index = 0;
    if (!take(&index, sizeof index))
      return false;
    if (index >= type.parts.size())
      return malformed("alternative " + std::to_string(index) + " of a variant that has " +
                       std::to_string(type.parts.size()));
    return write(type.part(index), out);
  }

  // -- bytes ------------------------------------------------------------------

  bool take(void* to, std::size_t size) {
    if (size > rest_.size())
      return malformed("the bytes end, " + std::to_string(size) + " more are needed");
    std::memcpy(to, rest_.data(), size);
    rest_ = rest_.subspan(size);
    return true;
  }

  bool take_bool(bool& x) {
    std::uint8_t byte = 0;
    if (!take(&byte, sizeof byte))
      return false;
    x = byte == 1;
    return byte <= 1 || malformed("a bool that is neither 0 nor 1");
  }

  /// Unsigned ones of 64 bits keep their bits.
  bool take_integer(const type_description& type, std::int64_t& x) {
    if (type.size > sizeof x)
      return fail("its C++ type has no JSON form: it is an integer of more than 64 bits");
    std::uint64_t bits = 0;
    if (!take(&bits, type.size)) // the low ones, as numbers lie in memory
      return false;
    const auto unused = 64 - 8 * type.size;
    x = type.is_signed ? static_cast<std::int64_t>(bits << unused) >> unused : static_cast<std::int64_t>(bits);
    return true;
  }

  bool take_text(std::string_view& text) {
    std::uint32_t size = 0;
    if (!take(&size, sizeof size))
      return false;
    if (size > rest_.size())
      return malformed("a length of " + std::to_string(size) + " elements, more than the bytes that are left,");
    text = as_text(rest_.first(size));
    rest_ = rest_.subspan(size);
    return true;
  }

  /// A claim of 2^32 elements of no bytes costs four bytes.
  bool count_empty(std::size_t rest_before) {
    return rest_.size() != rest_before || ++empty_elements_ <= limits_.empty_elements_max ||
           malformed("more than " + std::to_string(limits_.empty_elements_max) + " elements of zero bytes");
  }

  // -- problems ---------------------------------------------------------------

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool malformed(const std::string& problem) {
    malformed_ = true;
    return fail(problem + " at byte " + std::to_string(size_ - rest_.size()) + " of " + std::to_string(size_));
  }

  /// Says where the problem is.
  bool inside(std::string_view place) { return malformed_ ? false : fail(std::string{place} + ": " + problem_); }
  bool inside(std::size_t index) { return inside("[" + std::to_string(index) + "]"); }

  bytes_view rest_;
  const std::size_t size_;
  const json_integers integers_;
  const json_writer_limits limits_;
  std::size_t depth_ = 0;
  std::size_t empty_elements_ = 0;
  bool malformed_ = false;
  std::string problem_;
};

} // namespace

caf::expected<json::value> json_of_payload(const type_description& type, bytes_view data, json_integers integers,
                                           const json_writer_limits& limits) {
  static_assert(std::endian::native == std::endian::little, "numbers are read as they lie in memory");
  json_writer writer{data, integers, limits};
  json::value result;
  if (writer.write(type, result) && writer.at_end())
    return result;
  return writer.error(type);
}

} // namespace cluster_channel::detail
