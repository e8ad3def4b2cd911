// A limit: as much as there is with each system call, over a socket pair, without framing.
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace bench {

namespace {

/// Most that one system call is asked for.
constexpr std::size_t batch_bytes = std::size_t{256} * 1024;

class raw_batched final : public echo_system {
public:
  explicit raw_batched(const echo_setup& setup)
      : server_{"raw batched", setup.message_bytes},
        message_bytes_{setup.message_bytes},
        requests_(std::max(batch_bytes, message_bytes_), 'x'),
        answers_(batch_bytes) {}

  void one() override { many(1, 1); }

  /// Bytes are counted, as messages are cut anywhere.
  void many(std::size_t count, std::size_t in_flight) override {
    const auto total = count * message_bytes_;
    const auto unanswered_max = in_flight * message_bytes_;
    std::size_t sent = 0;
    std::size_t received = 0;
    while (received < total) {
      // Whole messages may go out only as whole ones come back.
      const auto answered = received / message_bytes_ * message_bytes_;
      const auto room = std::min(total, answered + unanswered_max) - sent;
      if (room > 0) {
        const auto n = ::send(server_.link(), requests_.data(), std::min(room, requests_.size()), MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
          throw std::system_error{errno, std::generic_category(), "send"};
        sent += n > 0 ? static_cast<std::size_t>(n) : 0;
        wait_if_stuck(n < 0);
      }
      received += receive(sent < std::min(total, answered + unanswered_max));
    }
  }

  void issue(std::size_t count) override { waiting_ += count; }

  void collect() override {
    many(waiting_, waiting_);
    waiting_ = 0;
  }

private:
  /// Until there is something to read, or room to write.
  void wait_if_stuck(bool full) const {
    if (!full)
      return;
    pollfd link{server_.link(), POLLIN | POLLOUT, 0};
    ::poll(&link, 1, -1);
  }

  std::size_t receive(bool more_to_send) {
    const auto n = ::recv(server_.link(), answers_.data(), answers_.size(), more_to_send ? MSG_DONTWAIT : 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
      throw std::system_error{errno, std::generic_category(), "recv"};
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

  server_process server_;
  std::size_t message_bytes_;
  std::vector<char> requests_;
  std::vector<char> answers_;
  std::size_t waiting_ = 0;
};

int serve(const serve_arguments&) {
  std::vector<char> data(batch_bytes);
  for (;;) {
    const auto n = ::read(link_of_server, data.data(), data.size());
    if (n <= 0)
      return 0;
    for (ssize_t done = 0; done < n;) {
      const auto written = ::write(link_of_server, data.data() + done, static_cast<std::size_t>(n - done));
      if (written <= 0)
        return 0;
      done += written;
    }
  }
}

} // namespace

system_entry raw_batched_system() {
  return {.name = "raw batched",
          .can = {.is_limit = true},
          .start = [](const echo_setup& setup) { return std::make_unique<raw_batched>(setup); },
          .serve = serve};
}

} // namespace bench
