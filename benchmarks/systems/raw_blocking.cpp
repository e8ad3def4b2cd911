// A limit: messages of a size that both ends know over a socket pair, one system call a message.
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <algorithm>
#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace bench {

namespace {

template <class Io>
bool transfer(Io io, int fd, std::vector<char>& data) {
  for (std::size_t done = 0; done < data.size();) {
    const auto n = io(fd, data.data() + done, data.size() - done);
    if (n <= 0)
      return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

class raw_blocking final : public echo_system {
public:
  explicit raw_blocking(const echo_setup& setup)
      : server_{"raw blocking", setup.message_bytes},
        request_(setup.message_bytes, 'x'),
        answer_(setup.message_bytes) {}

  void one() override {
    send_one();
    receive_one();
  }

  /// At most 16 KiB are unanswered: both ends block, and would wait for each other with the buffers full.
  void many(std::size_t count, std::size_t in_flight) override {
    constexpr std::size_t unanswered_bytes_max = std::size_t{16} * 1024;
    in_flight = std::clamp<std::size_t>(unanswered_bytes_max / request_.size(), 1, in_flight);
    std::size_t sent = 0;
    for (std::size_t received = 0; received < count; ++received) {
      for (; sent < count && sent - received < in_flight; ++sent)
        send_one();
      receive_one();
    }
  }

private:
  void send_one() {
    if (!transfer(::write, server_.link(), request_))
      throw std::system_error{errno, std::generic_category(), "write"};
  }

  void receive_one() {
    if (!transfer(::read, server_.link(), answer_))
      throw std::system_error{errno, std::generic_category(), "read"};
  }

  server_process server_;
  std::vector<char> request_;
  std::vector<char> answer_;
};

int serve(const serve_arguments& arguments) {
  std::vector<char> data(arguments.message_bytes);
  while (transfer(::read, link_of_server, data) && transfer(::write, link_of_server, data))
    ;
  return 0;
}

} // namespace

system_entry raw_blocking_system() {
  return {.name = "raw blocking",
          .can = {.is_limit = true, .at_once_max = 0},
          .start = [](const echo_setup& setup) { return std::make_unique<raw_blocking>(setup); },
          .serve = serve};
}

} // namespace bench
