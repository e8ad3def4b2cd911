// The binary payload codec: C++ values to bytes and back. No state; every function is thread-safe.
//
// Encodes bool, integers, float, double, enums, std::string, containers (sequences, sets, maps), arrays, std::pair,
// std::tuple, std::optional, caf::optional, std::unique_ptr and std::shared_ptr (as optionals; what is shared is sent
// for each), std::variant, std::monostate, std::chrono::duration, structs described with Boost.Describe (or
// describe.hpp) whose members are all public, types with a CAF `inspect`, and types with an adapter
// (payload_adapter.hpp), such as paths and points of time. The byte grammar is in wire_format.md. Not here: long double
// (its padding would travel), plain pointers, and views such as std::string_view, as a call that waits would outlive
// what they look at; and a type that has private described members needs an `inspect`, because dropping those silently
// would be worse.
//
// Decoding trusts nothing: every length is checked against the bytes that are left before anything is allocated, and
// nesting is limited. CAF's own binary_deserializer does not serve here: version 0.17 resizes a string to the length
// found in the bytes, up to 4 GiB, before it looks whether they are there.
#pragma once

#include <cluster_channel/serialization/binary_reader.hpp>
#include <cluster_channel/serialization/binary_writer.hpp>
#include <cluster_channel/serialization/signature.hpp>

#include <caf/expected.hpp>

#include <exception>
#include <new>
#include <stdexcept>

namespace cluster_channel {

/// Types that can be encoded and decoded. A described struct counts, whatever its members are: a member that cannot be
/// encoded is an error of its own, where the struct is.
template <class T>
concept payload = detail::is_encodable<T>() && std::default_initializable<T>;

/// Types for the request or response of a slot.
template <class T>
concept slot_payload = std::is_void_v<T> || payload<T>;

/// The bytes that stand for `value`.
/// @throws std::runtime_error with its text if a `save_callback` or `inspect` of the user's reports an error,
///         std::length_error for a container of 2^32 elements or more, and whatever a user's `inspect` throws.
template <class T>
bytes encode(const T& value) {
  static_assert(payload<T>, "this type cannot be encoded and decoded: describe it with BOOST_DESCRIBE_STRUCT and "
                            "public members only, give it a CAF inspect() function, or specialize "
                            "cluster_channel::payload_adapter for it; it needs a default constructor too");
  bytes result;
  detail::binary_writer writer{result};
  if (const auto err = writer(value))
    throw std::runtime_error{"the payload does not encode: " + failure_of(err).text};
  return result;
}

namespace detail {

/// `decode` with another bound of the nesting.
template <class T>
caf::expected<T> decode_nested(bytes_view data, std::size_t depth_max) {
  static_assert(payload<T>, "this type cannot be encoded and decoded: describe it with BOOST_DESCRIBE_STRUCT and "
                            "public members only, give it a CAF inspect() function, or specialize "
                            "cluster_channel::payload_adapter for it; it needs a default constructor too");
  std::string problem;
  try {
    T result{};
    binary_reader reader{data, depth_max};
    reader(result);
    problem = reader.problem();
    if (problem.empty())
      return result;
  } catch (const std::bad_alloc&) {
    problem = "there is not enough memory for it";
  } catch (const std::exception& ex) {
    problem = ex.what();
  } catch (...) {
    problem = "an exception of unknown type";
  }
  return make_error(errc::bad_payload, "the payload does not decode as " + signature_of<T>() + ": " + problem);
}

} // namespace detail

/// The value that `data` stands for, or `bad_payload` with the type, what is wrong and where. Bytes after the value, a
/// bool other than 0 and 1, a set or map with a key twice, nesting beyond `decode_depth_max`, elements that take more
/// memory than `decoded_bytes_max`, and exceptions and errors of a user's `inspect` or `load_callback` are errors.
/// Enums are not checked against their enumerators: values outside of them come through. A lack of memory is an error
/// too. Throws nothing, unless memory lacks even for the error.
template <class T>
caf::expected<T> decode(bytes_view data) {
  return detail::decode_nested<T>(data, decode_depth_max);
}

} // namespace cluster_channel
