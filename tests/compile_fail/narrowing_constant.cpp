#include "events.hpp"

void use(const cluster_channel::slot<unsigned>& slot, const cluster_channel::promise<int>& done) {
  static_cast<void>(slot(-1));
  done.deliver(0.75);
}
