#include <cluster_channel/channels/child_channel.hpp>

#include "handlers.hpp"

int main() {
  return cluster_channel::serve<hello::events>(hello::with_master);
}
