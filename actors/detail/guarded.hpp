// Keeps an actor alive when one of its handlers throws, or lacks memory for a moment: CAF ends an actor out of whose
// handler an exception comes.
#pragma once

#include <chrono>
#include <exception>
#include <new>
#include <string>
#include <thread>
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

/// Calls `f` once more if it lacks memory. It must change nothing before it throws, or nothing that matters if it
/// happens twice. Who lacks memory twice must give up.
template <class F>
void insist(F f) {
  try {
    f();
  } catch (const std::bad_alloc&) {
    f();
  }
}

/// Calls `f` again and again until it does not lack memory, for threads that nobody could tell. It must change nothing
/// before it throws.
template <class F>
void until_there_is_memory(F f) {
  for (;;) {
    try {
      f();
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }
}

template <class F, class Class, class... Ts>
auto insisting(F handler, void (Class::*)(Ts...) const) {
  return [handler = std::move(handler)](Ts... xs) { insist([&] { handler(xs...); }); };
}

/// The handler of an actor `handler`, a lambda that is not generic and takes references; see `insist`.
template <class F>
auto insisting(F handler) {
  return insisting(std::move(handler), &F::operator());
}

} // namespace cluster_channel::detail
