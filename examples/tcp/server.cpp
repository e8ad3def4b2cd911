// tcp_server PORT [CHUNK_SIZE]: answers tcp_client until it gets SIGINT or SIGTERM.
#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>

#include <boost/asio/signal_set.hpp>

#include "events.hpp"
#include "tcp_channel.hpp"
#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <string>

namespace {

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

void serve(unsigned short port, std::size_t chunk_size) {
  boost::asio::io_context io;
  boost::asio::signal_set stop{io, SIGINT, SIGTERM};
  stop.async_wait([](const boost::system::error_code&, int) {});

  tcp::tcp_channel link{tcp::role::listens, {boost::asio::ip::address_v4::loopback(), port}};
  cluster_channel::chunked_channel channel{link, {.chunk_size = chunk_size}};
  cluster_channel::event_bus<tcp::events> bus{channel};
  bus.shout.on([served = bus.served, count = 0](std::string text) mutable { // a slot of its own: it may outlive the bus
    served(++count).on_result([](const auto&) {});                          // whatever comes of it
    std::transform(text.begin(), text.end(), text.begin(), upper);
    return text;
  });
  std::cout << "listening on " << link.address() << std::endl;
  io.run();
}

} // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: tcp_server PORT [CHUNK_SIZE]; PORT 0 is one that the system chooses\n";
    return 2;
  }
  serve(static_cast<unsigned short>(std::stoul(argv[1])), argc > 2 ? std::stoul(argv[2]) : 65536);
} catch (const std::exception& err) {
  std::cerr << "tcp_server: " << err.what() << '\n';
  return 1;
}
