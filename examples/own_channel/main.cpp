// A channel of one's own in thirty lines: over a connected stream socket, here between two buses of one program.
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <boost/describe.hpp>

#include <array>
#include <cstddef>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <span>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace cluster_channel;

/// Its reader runs the handlers too, and blocks where they answer, or call, while the socket is full: fine only if the
/// far end always reads, and is not such a reader that is blocked itself.
class socket_channel final : public generic_channel {
public:
  explicit socket_channel(int fd) : fd_{fd} {}

  ~socket_channel() override {
    ::shutdown(fd_, SHUT_RDWR); // ends what blocks in `read` and `send`
    if (reader_.joinable())
      reader_.join();
    detach();
    ::close(fd_);
  }

  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override {
    auto result = generic_channel::connect(std::move(listener));
    reader_ = std::thread{[this] { read(); }};
    return result;
  }

private:
  caf::error send(message msg) override {
    std::vector<char> frame;
    if (auto err = write_frame(frame, msg, default_frame_bytes_max))
      return err;
    std::lock_guard guard{mutex_};
    std::span left{frame};
    for (ssize_t n = 0; !left.empty() && n >= 0; left = left.subspan(n < 0 ? 0 : static_cast<std::size_t>(n)))
      n = ::send(fd_, left.data(), left.size(), MSG_NOSIGNAL);
    return {}; // if the link is lost, the reader notices
  }

  void read() {
    connected();
    frame_reader frames;
    std::array<std::byte, 4096> buffer{};
    for (ssize_t n = 0; !frames.error() && (n = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0;) {
      frames.feed(std::span{buffer}.first(static_cast<std::size_t>(n)));
      while (auto msg = frames.next())
        message_received(std::move(*msg));
    }
    if (frames.error())
      error(frames.error());
    disconnected();
  }

  const int fd_;
  std::mutex mutex_; // keeps frames whole
  std::thread reader_;
};

struct events {
  slot<int, int> twice;
};
BOOST_DESCRIBE_STRUCT(events, (), (twice))

} // namespace

int main() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    std::perror("socketpair");
    return 1;
  }
  socket_channel left{fds[0]};
  socket_channel right{fds[1]};
  event_bus<events> here{left};
  event_bus<events> there{right};
  there.twice.on([](int x) { return 2 * x; });

  auto answer = here.twice(21).get();
  if (!answer) {
    std::cerr << describe(answer.error()) << '\n';
    return 1;
  }
  std::cout << "twice(21) = " << *answer << '\n';
}
