#include "events.hpp"
#include <utility>

struct numbers {
  cluster_channel::slot<int, int> integer;
  cluster_channel::slot<bool> flag;
  cluster_channel::slot<double, double> real;
  cluster_channel::slot<std::pair<int, int>> pair;
};
BOOST_DESCRIBE_STRUCT(numbers, (), (integer, flag, real, pair))

void use(cluster_channel::event_bus<numbers>& bus) {
  static_cast<void>(bus.integer(3.7));
  static_cast<void>(bus.flag.broadcast("off"));
  static_cast<void>(bus.pair.all_settled(std::pair{3.7, 1}));
  bus.integer.on([](int) { return 0.75; });
  bus.real.on([](int x) { return x; });
}
