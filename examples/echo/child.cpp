#include <cluster_channel/channels/child_channel.hpp>

#include "events.hpp"

int main() {
  return cluster_channel::serve<echo::events>(echo::serve_echo);
}
