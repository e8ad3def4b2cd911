// The binary payload codec: C++ values to bytes and back.
//
// Encodes numbers, enums, bool, std::string, containers, std::array, std::pair, std::tuple, std::map and friends,
// std::optional, std::variant, std::chrono::duration, std::monostate, structs described with Boost.Describe, and
// types with a CAF `inspect`. The byte grammar is in wire_format.md. Decoding trusts nothing: every length is checked
// against the bytes that are left before anything is allocated.
#pragma once
// Interface:
//   template <class T> concept payload  — T (or void) can be encoded and decoded
//   template <class T> bytes encode(const T& value);
//   template <class T> caf::expected<T> decode(bytes_view data);   // errc::bad_payload
//   template <class T> std::string signature_of();                 // signature.hpp
