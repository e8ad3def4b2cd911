#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/json_payload.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <new>
#include <numeric>
#include <string>
#include <vector>

namespace cluster_channel::detail {

namespace {

namespace json = boost::json;

std::string_view view(json::string_view x) {
  return {x.data(), x.size()};
}

/// Reads values until the first problem, and writes their bytes. One thread; borrows the JSON while it reads.
class json_reader {
public:
  explicit json_reader(json_integers integers) : integers_{integers} {}

  /// Appends the bytes of `in` as a `type`. @returns false, with a problem, if it does not fit.
  bool read(const json::value& in, const type_description& type) {
    if (++steps_ > json_steps_max)
      return fail_for_steps();
    if (type.json.read)
      return read_by_user(in, type);
    switch (type.kind) {
    case type_kind::none:
    case type_kind::nothing:
      return in.is_null() || fail(in, "null");
    case type_kind::boolean:
      return read_bool(in);
    case type_kind::integer:
      return read_integer(in, type);
    case type_kind::real:
      return read_real(in, type);
    case type_kind::enumeration:
      return read_enumeration(in, type);
    case type_kind::duration:
      return read(in, type.part());
    case type_kind::text:
      return read_text(in);
    case type_kind::sequence:
      return read_sequence(in, type);
    case type_kind::map:
      return type.is_unique && type.part().kind == type_kind::text ? read_object(in, type.part(1))
                                                                   : read_pairs(in, type);
    case type_kind::array:
      return read_array(in, type);
    case type_kind::tuple:
      return read_tuple(in, type);
    case type_kind::structure:
      return read_structure(in, type);
    case type_kind::optional:
      return read_optional(in, type.part());
    case type_kind::variant:
      return read_variant(in, type);
    case type_kind::json:
      return read_json(in);
    case type_kind::opaque:
      break;
    }
    return fail("its C++ type has no JSON form: describe it with BOOST_DESCRIBE_STRUCT and public members only");
  }

  bytes& result() noexcept { return out_; }
  const std::string& problem() const noexcept { return problem_; }

private:
  // -- single values ----------------------------------------------------------

  bool read_by_user(const json::value& in, const type_description& type) {
    try {
      type.json.read(in, out_);
      return true;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& ex) {
      return fail(ex.what());
    } catch (...) {
      return fail("an exception of unknown type");
    }
  }

  bool read_bool(const json::value& in) {
    if (!in.is_bool())
      return fail(in, "a bool");
    put(static_cast<std::uint8_t>(in.get_bool()));
    return true;
  }

  bool read_integer(const json::value& in, const type_description& type) {
    if (in.is_uint64())
      return put_unsigned(in.get_uint64(), type);
    if (in.is_int64())
      return put_signed(in.get_int64(), type);
    if (!in.is_double())
      return fail(in, "an integer");
    const auto number = in.get_double();
    if (std::trunc(number) != number)
      return fail("an integer was expected, " + json::serialize(in) + " came");
    // Beyond this, several integers share one double.
    if (std::abs(number) > static_cast<double>(json_safe_integer_max))
      return fail(json::serialize(in) + " is beyond 2^53 - 1, where doubles are no exact integers");
    return put_signed(static_cast<std::int64_t>(number), type);
  }

  bool put_signed(std::int64_t x, const type_description& type) {
    if (x >= 0)
      return put_unsigned(static_cast<std::uint64_t>(x), type);
    if (integers_ == json_integers::safe && !is_safe_integer(x))
      return fail(beyond_safe_integers(x));
    if (!type.is_signed || type.size > sizeof x || x < -most_of(type) - 1)
      return fail(std::to_string(x) + " is out of the range of its C++ type");
    put_low(static_cast<std::uint64_t>(x), type.size);
    return true;
  }

  bool put_unsigned(std::uint64_t x, const type_description& type) {
    if (integers_ == json_integers::safe && !is_safe_integer(x))
      return fail(beyond_safe_integers(x));
    const auto most = static_cast<std::uint64_t>(most_of(type)) * (type.is_signed ? 1 : 2) + (type.is_signed ? 0 : 1);
    if (type.size > sizeof x || x > most)
      return fail(std::to_string(x) + " is out of the range of its C++ type");
    put_low(x, type.size);
    return true;
  }

  /// The largest signed integer of that size.
  static std::int64_t most_of(const type_description& type) {
    return std::numeric_limits<std::int64_t>::max() >> (64 - 8 * std::min(type.size, sizeof(std::int64_t)));
  }

  bool read_real(const json::value& in, const type_description& type) {
    if (!in.is_number())
      return fail(in, "a number");
    const auto number = in.is_double()  ? in.get_double()
                        : in.is_int64() ? static_cast<double>(in.get_int64())
                                        : static_cast<double>(in.get_uint64());
    const auto narrow = type.size == sizeof(float);
    const auto most =
        narrow ? static_cast<double>(std::numeric_limits<float>::max()) : std::numeric_limits<double>::max();
    if (!std::isfinite(number) || std::abs(number) > most)
      return fail("a number is out of range");
    if (narrow)
      put(static_cast<float>(number));
    else
      put(number);
    return true;
  }

  bool read_enumeration(const json::value& in, const type_description& type) {
    const auto& underlying = type.part();
    if (underlying.kind == type_kind::boolean || type.enumerators.empty())
      return read(in, underlying);
    if (!in.is_string())
      return fail(in, "an enumerator's name");
    const auto name = view(in.get_string());
    for (const auto& each : type.enumerators) {
      if (name == each.name) {
        put_low(static_cast<std::uint64_t>(each.value), underlying.size);
        return true;
      }
    }
    return fail("\"" + std::string{name} + "\" is no enumerator");
  }

  bool read_text(const json::value& in) {
    if (!in.is_string())
      return fail(in, "a string");
    put_text(in.get_string());
    return true;
  }

  bool read_json(const json::value& in) {
    std::string text;
    if (const auto err = json_to_text(in, integers_, text))
      return fail(failure_of(err).text);
    put_text(text);
    return true;
  }

  // -- values of several ------------------------------------------------------

  bool read_sequence(const json::value& in, const type_description& type) {
    const auto* elements = array_in(in, type);
    if (!elements)
      return fail(in, "an array");
    put(static_cast<std::uint32_t>(elements->size()));
    std::vector<std::size_t> begins; // of sets
    for (std::size_t i = 0; i < elements->size(); ++i) {
      if (type.is_unique)
        begins.push_back(out_.size());
      if (!read((*elements)[i], type.part()))
        return inside(i);
    }
    begins.push_back(out_.size());
    return !type.is_unique || are_unique(begins, begins);
  }

  bool read_pairs(const json::value& in, const type_description& type) {
    if (!in.is_array())
      return fail(in, "an array");
    const auto& elements = in.get_array();
    put(static_cast<std::uint32_t>(elements.size()));
    std::vector<std::size_t> begins;
    std::vector<std::size_t> ends; // one later
    ends.push_back(0);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      const auto* pair = elements[i].if_array();
      if (!pair || pair->size() != 2)
        return fail(elements[i], "an array of 2") || inside(i);
      begins.push_back(out_.size());
      if (!read((*pair)[0], type.part(0)))
        return inside(std::size_t{0}) || inside(i);
      ends.push_back(out_.size());
      if (!read((*pair)[1], type.part(1)))
        return inside(std::size_t{1}) || inside(i);
    }
    return !type.is_unique || are_unique(begins, ends);
  }

  /// Whether no two runs of bytes are alike; run `i` is from `begins[i]` to `ends[i + 1]`. What the C++ type takes for
  /// equal although its bytes differ is left to the decoder.
  bool are_unique(const std::vector<std::size_t>& begins, const std::vector<std::size_t>& ends) {
    std::vector<std::size_t> order(ends.size() - 1);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto run = [&](std::size_t i) {
      return as_text(bytes_view{out_}.subspan(begins[i], ends[i + 1] - begins[i]));
    };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t k) { return run(i) < run(k); });
    const auto twice =
        std::adjacent_find(order.begin(), order.end(), [&](std::size_t i, std::size_t k) { return run(i) == run(k); });
    return twice == order.end() || fail("[" + std::to_string(twice[1]) + "] is there for the second time");
  }

  bool read_object(const json::value& in, const type_description& mapped) {
    if (!in.is_object())
      return fail(in, "an object");
    const auto& object = in.get_object();
    put(static_cast<std::uint32_t>(object.size()));
    for (const auto& entry : object) {
      put_text(entry.key());
      if (!read(entry.value(), mapped))
        return inside(view(entry.key()));
    }
    return true;
  }

  bool read_array(const json::value& in, const type_description& type) {
    const auto* elements = array_in(in, type);
    if (!elements || elements->size() != type.size)
      return fail(in, "an array of " + std::to_string(type.size));
    for (std::size_t i = 0; i < elements->size(); ++i)
      if (!read((*elements)[i], type.part()))
        return inside(i);
    return true;
  }

  bool read_tuple(const json::value& in, const type_description& type) {
    if (!in.is_array() || in.get_array().size() != type.parts.size())
      return fail(in, "an array of " + std::to_string(type.parts.size()));
    const auto& elements = in.get_array();
    for (std::size_t i = 0; i < elements.size(); ++i)
      if (!read(elements[i], type.part(i)))
        return inside(i);
    return true;
  }

  bool read_structure(const json::value& in, const type_description& type) {
    if (!in.is_object())
      return fail(in, "an object");
    const auto& object = in.get_object();
    if (!fits_names_of(object, type))
      return false;
    for (const auto& member : type.parts) {
      if (const auto* found = object.if_contains(member.name)) {
        if (!read(*found, *member.type))
          return inside(member.name);
      } else if (!read(json::value(nullptr), *member.type)) {
        return inside(member.name);
      }
    }
    return true;
  }

  /// Whether the object's members are those of `type`. To be asked before any is read: mostly that tells the structs of
  /// a variant apart.
  bool fits_names_of(const json::object& object, const type_description& type) {
    std::size_t found = 0;
    for (const auto& member : type.parts) {
      if (object.contains(member.name))
        ++found;
      else if (!may_be_missing(*member.type))
        return fail("member " + std::string{member.name} + " is missing");
    }
    if (found == object.size())
      return true;
    for (const auto& entry : object)
      if (std::none_of(type.parts.begin(), type.parts.end(),
                       [&](const auto& member) { return view(entry.key()) == member.name; }))
        return fail("member " + std::string{view(entry.key())} + " is not declared");
    return fail("a member is declared twice");
  }

  bool read_optional(const json::value& in, const type_description& element) {
    put(static_cast<std::uint8_t>(!in.is_null()));
    return in.is_null() || read(in, element);
  }

  /// The first alternative that fits.
  bool read_variant(const json::value& in, const type_description& type) {
    const auto before = out_.size();
    ++trying_;
    for (std::size_t i = 0; i < type.parts.size(); ++i) {
      put(static_cast<std::uint32_t>(i));
      if (read(in, type.part(i))) {
        --trying_;
        return true;
      }
      out_.resize(before);
    }
    --trying_;
    return steps_ > json_steps_max ? fail_for_steps() : fail("none of the alternatives of a variant fits");
  }

  /// An array, or for bytes what `JSON.stringify` makes of Node's Buffer: `{"type":"Buffer","data":[…]}`.
  static const json::array* array_in(const json::value& in, const type_description& type) {
    if (in.is_array())
      return &in.get_array();
    const auto* object = type.is_bytes ? in.if_object() : nullptr;
    const auto* tag = object ? object->if_contains("type") : nullptr;
    const auto* data = object ? object->if_contains("data") : nullptr;
    return tag && data && object->size() == 2 && *tag == "Buffer" ? data->if_array() : nullptr;
  }

  // -- bytes ------------------------------------------------------------------

  template <class T>
  void put(T x) {
    put(&x, sizeof x);
  }

  void put(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), first, first + size);
  }

  /// The low bytes, as numbers lie in memory.
  void put_low(std::uint64_t x, std::size_t size) {
    static_assert(std::endian::native == std::endian::little);
    put(&x, size);
  }

  void put_text(json::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    put(text.data(), text.size());
  }

  // -- problems ---------------------------------------------------------------

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool fail(const json::value& in, std::string_view wanted) {
    return trying_ == 0 &&
           fail(std::string{wanted} + " was expected, " + std::string{view(json::to_string(in.kind()))} + " came");
  }

  bool fail_for_steps() { return fail("it takes too many steps to find out which alternatives of variants fit"); }

  /// Says where the problem is.
  bool inside(std::string_view place) { return trying_ == 0 && fail(std::string{place} + ": " + problem_); }
  bool inside(std::size_t index) { return trying_ == 0 && inside("[" + std::to_string(index) + "]"); }

  const json_integers integers_;
  std::size_t steps_ = 0;
  std::size_t trying_ = 0; // alternatives that may fail, so that no text is needed
  bytes out_;
  std::string problem_;
};

} // namespace

caf::expected<bytes> payload_of_json(const type_description& type, const json::value& json, json_integers integers) {
  json_reader reader{integers};
  if (reader.read(json, type))
    return std::move(reader.result());
  return make_error(errc::bad_payload, "the JSON does not fit the type: " + reader.problem());
}

} // namespace cluster_channel::detail
