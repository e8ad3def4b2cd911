// The node of cluster_channel. With --first-byte it writes one byte and ends: what a launch costs without the library.

#include <cluster_channel/channels/child_channel.hpp>

#include "child/events.hpp"
#include "measure/spin.hpp"
#include <cstring>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--first-byte") == 0)
    return ::write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 1;
  return cluster_channel::serve<bench::events>([](bench::events& bus) {
    bus.echo.on([](const std::string& text) { return text; });
    bus.spin_us.on(bench::spin);
  });
}
