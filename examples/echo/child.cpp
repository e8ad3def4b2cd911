#include "events.hpp"

#include <cluster_channel/channels/child_channel.hpp>

int main() {
  return cluster_channel::serve<echo::events>(echo::serve_echo);
}
