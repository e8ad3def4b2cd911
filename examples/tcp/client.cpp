// tcp_client PORT [CHUNK_SIZE]: sends each line of its input to tcp_server, and prints the answers. It may be started
// first, and the server may go and come back.
#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>

#include "events.hpp"
#include "tcp_channel.hpp"
#include <exception>
#include <iostream>
#include <mutex>
#include <string>

namespace {

void say(const std::string& text) {
  static std::mutex mutex;
  std::lock_guard guard{mutex};
  std::cout << text << std::endl;
}

void run(unsigned short port, std::size_t chunk_size) {
  tcp::tcp_channel link{tcp::role::connects, {boost::asio::ip::address_v4::loopback(), port}};
  cluster_channel::chunked_channel channel{link, {.chunk_size = chunk_size}};
  cluster_channel::event_bus<tcp::events> server{channel};
  server.served.on([](int count) { say("served " + std::to_string(count)); });
  server.shout.lazy([](const std::string&) { say("server is there"); },
                    [](const std::string&) { say("server is gone"); });
  for (std::string line; std::getline(std::cin, line);) {
    auto answer = server.shout(line).get();
    say(answer ? *answer : "failed: " + cluster_channel::describe(answer.error()));
  }
}

} // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: tcp_client PORT [CHUNK_SIZE]\n";
    return 2;
  }
  run(static_cast<unsigned short>(std::stoul(argv[1])), argc > 2 ? std::stoul(argv[2]) : 65536);
} catch (const std::exception& err) {
  std::cerr << "tcp_client: " << err.what() << '\n';
  return 1;
}
