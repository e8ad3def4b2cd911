// How types of other people's travel: as something that can be encoded, told once for all codecs and for signatures.
//
//   template <>
//   struct cluster_channel::payload_adapter<lib::uuid> {
//     using travels_as = std::string;
//     static std::string to_payload(const lib::uuid& x) { return x.text(); }
//     static lib::uuid from_payload(std::string x) { return lib::uuid{x}; } // may throw: the payload does not decode
//     static constexpr const char* meaning = "uuid";                        // may be left out
//   };
//
// After that `lib::uuid` is a payload, and can be inside of others. Its bytes and its JSON are those of `travels_as`,
// any payload type, and so is its signature, with `meaning` after it if there is one: `string (uuid)`. An adapter is
// for a class with a default constructor, and goes before a description or `inspect` of it. It must be known wherever
// the type is used as a payload.
//
// There are adapters for paths (std::filesystem and Boost's), and for points of time of std::chrono's system and steady
// clocks: those of the latter mean something on the same machine only, until it starts anew.
#pragma once

#include <chrono>
#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

namespace cluster_channel {

template <class T>
struct payload_adapter;

namespace detail {

template <class T>
concept adapted = std::is_class_v<T> && requires {
  typename payload_adapter<T>::travels_as;
};

template <class T>
using travels_as = typename payload_adapter<T>::travels_as;

/// What its adapter says in words, or null.
template <class T>
constexpr const char* meaning_of() {
  if constexpr (requires { payload_adapter<T>::meaning; })
    return payload_adapter<T>::meaning;
  else
    return nullptr;
}

/// Paths, without the header that defines them.
template <class T>
concept path_like = requires(const T& x) {
  { x.native() } -> std::same_as<const std::string&>;
  x.lexically_normal();
};

template <class Clock>
inline constexpr const char* clock_name = nullptr;
template <>
inline constexpr const char* clock_name<std::chrono::system_clock> = "since the epoch of the system clock";
template <>
inline constexpr const char* clock_name<std::chrono::steady_clock> = "since the epoch of the steady clock";

} // namespace detail

/// The path as it is, which is not always UTF-8; then it has no JSON.
template <detail::path_like T>
struct payload_adapter<T> {
  using travels_as = std::string;
  static const std::string& to_payload(const T& x) { return x.native(); }
  static T from_payload(std::string x) { return T{std::move(x)}; }
};

template <class Clock, class Duration>
requires(detail::clock_name<Clock> != nullptr) struct payload_adapter<std::chrono::time_point<Clock, Duration>> {
  using travels_as = Duration;
  static Duration to_payload(std::chrono::time_point<Clock, Duration> x) { return x.time_since_epoch(); }
  static std::chrono::time_point<Clock, Duration> from_payload(Duration x) {
    return std::chrono::time_point<Clock, Duration>{x};
  }
  static constexpr const char* meaning = detail::clock_name<Clock>;
};

} // namespace cluster_channel
