#include "events.hpp"
#include <optional>

struct numbers {
  cluster_channel::slot<unsigned, unsigned> natural;
  cluster_channel::slot<double, double> real;
  cluster_channel::slot<std::optional<unsigned>> perhaps;
};
BOOST_DESCRIBE_STRUCT(numbers, (), (natural, real, perhaps))

void use(cluster_channel::event_bus<events>& bus) {
  bus.foo.on([](const foo_request& x) { return foo_response{x.bar}; });
  static_cast<void>(bus.foo({1}));
}

void use(cluster_channel::event_bus<numbers>& bus, int n) {
  static_cast<void>(bus.natural(1));
  static_cast<void>(bus.natural.all({1}, {.param = {"p"}}));
  static_cast<void>(bus.real(n)); // a double is any int, an int is not any unsigned
  static_cast<void>(bus.perhaps(1));
  static_cast<void>(bus.perhaps({}));
  bus.natural.on([](unsigned, const cluster_channel::promise<unsigned>& done) { done.deliver(1); });
  bus.real.on([](auto x) { return x > 1 ? 1 : 2; });
}
