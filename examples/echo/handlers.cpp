#include "events.hpp"
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

namespace echo {

namespace {

std::int64_t multiply(const multiply_request& request) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(request.a, request.b, &product))
    throw std::overflow_error("the product does not fit 64 bits");
  return product;
}

/// Named as in JavaScript, where the seed's users come from: the text of a failed call is the error's message.
struct Error : std::runtime_error { // NOLINT(readability-identifier-naming)
  using std::runtime_error::runtime_error;
};

} // namespace

void serve_echo(events& bus) {
  bus.echo.on([](const std::string& text) { return text; });
  bus.multiply.on(multiply);
  bus.fail.on([](const std::string& text) { throw Error(text); });
  bus.sleep_ms.on([](std::uint32_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds{ms}); });
  bus.crash.on([](std::int32_t signo) { std::raise(signo); });
}

} // namespace echo
