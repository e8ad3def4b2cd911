// The connection is lost in the middle of a message: the next one begins with a hello.
#include <cluster_channel/channels/event_bus.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "events.hpp"
#include "tcp_channel.hpp"
#include <array>
#include <cstddef>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace cluster_channel;

/// The far end, byte by byte.
class far_end {
public:
  tcp::tcp_channel::endpoint address() const { return acceptor_.local_endpoint(); }

  void accept() {
    socket_ = acceptor_.accept();
    reader_ = frame_reader{};
  }

  void send(const message& msg) {
    std::vector<char> frame;
    if (auto err = write_frame(frame, msg, default_frame_bytes_max))
      throw std::runtime_error{describe(err)};
    boost::asio::write(socket_, boost::asio::buffer(frame));
  }

  message receive() {
    while (true) {
      if (auto msg = reader_.next())
        return std::move(*msg);
      if (reader_.error())
        throw std::runtime_error{describe(reader_.error())};
      const auto size = socket_.read_some(boost::asio::buffer(buffer_));
      reader_.feed(std::span{buffer_}.first(size));
    }
  }

  /// Takes `size` bytes, says that it is going, and takes what comes until the near end has gone.
  void leave_after(std::size_t size) {
    std::vector<char> some(size);
    boost::asio::read(socket_, boost::asio::buffer(some));
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send);
    boost::system::error_code end;
    while (!end)
      socket_.read_some(boost::asio::buffer(buffer_), end);
  }

private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_{io_, {boost::asio::ip::address_v4::loopback(), 0}};
  boost::asio::ip::tcp::socket socket_{io_};
  frame_reader reader_;
  std::array<std::byte, 65536> buffer_{};
};

void expect_hello(far_end& far) {
  if (!std::holds_alternative<hello>(far.receive()))
    throw std::runtime_error{"a connection began with something else than a hello"};
}

void run() {
  far_end far;
  tcp::tcp_channel channel{tcp::role::connects, far.address()};
  event_bus<tcp::events> bus{channel};
  for (int i = 0; i < 20; ++i) {
    far.accept();
    expect_hello(far);
    far.send(handler_registered{"shout", default_param});
    bus.shout(std::string(16 << 20, 'x')).on_result([](const auto&) {}); // waits for the handler
    far.leave_after(1 << 20);
  }
}

} // namespace

int main() try {
  run();
  std::cout << "passed\n";
} catch (const std::exception& err) {
  std::cerr << "failed: " << err.what() << '\n';
  return 1;
}
