// The structure of a type in words, so that two programs can tell whether they mean the same: names of members count,
// names of C++ types do not. `{bar: i32, tags: [string]}` for a struct with an int and a vector of strings.
//
// Words: `void`, `bool`, `i8` … `u64`, `f32`, `f64`, `string`, `nothing` (std::monostate), `enum u8 {red = 0, blue =
// 2}` (without the braces if it is not described), `[T]` (sequences and sets), `[T; 3]` (arrays), `map<K, V>`,
// `optional<T>` (std::unique_ptr and std::shared_ptr too), `(A, B)` (pairs and tuples), `A | B` (variants), `i64 *
// 1/1000 s` (durations), `{name: T}` (described structs). What an adapter says of a type's meaning follows in
// parentheses. `^1` is the struct that is written just here, `^2` the one around it: that is how recursive types end. A
// type with a CAF `inspect` is the name it gives itself by `caf::meta::type_name`, or `opaque`: its members are not
// known. `json` is a json_value.
#pragma once

#include <cluster_channel/serialization/type_description.hpp>

#include <string>

namespace cluster_channel {

/// The structure of `type` in words. Thread-safe.
std::string signature_of(const type_description& type);

/// The structure of T in words. Thread-safe.
template <class T>
std::string signature_of() {
  return signature_of(description_of<T>());
}

/// The structure of a slot in words: `{bar: i32} -> {baz: i32}`. Thread-safe.
template <class Request, class Response>
std::string slot_signature() {
  return signature_of<Request>() + " -> " + signature_of<Response>();
}

} // namespace cluster_channel
