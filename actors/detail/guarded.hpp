// Keeps an actor alive when one of its handlers throws: CAF ends an actor out of whose handler an exception comes.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace cluster_channel::detail {

/// What an exception says of itself.
inline std::string text_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& ex) {
    return ex.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

template <class F, class Recover, class Result, class Class, class... Ts>
auto guarded(F handler, Recover recover, Result (Class::*)(Ts...) const) {
  return [handler = std::move(handler), recover = std::move(recover)](Ts... xs) -> Result {
    try {
      return handler(static_cast<Ts&&>(xs)...);
    } catch (...) {
      return recover(std::current_exception()), Result();
    }
  };
}

/// The handler of an actor `handler`, a lambda that is not generic; what it throws goes to `recover`, which must not
/// throw.
template <class F, class Recover>
auto guarded(F handler, Recover recover) {
  return guarded(std::move(handler), std::move(recover), &F::operator());
}

} // namespace cluster_channel::detail
