#include <cluster_channel/actors/detail/output_forwarder.hpp>
#include <cluster_channel/actors/detail/signals.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <cerrno>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace cluster_channel::detail {

namespace {

/// Most bytes taken from one pipe when the forwarder goes: more than a pipe holds, but an end even if a grandchild
/// never stops printing.
constexpr std::size_t last_bytes_max = std::size_t{1} << 20;

void write_whole(int fd, std::string_view data) {
  while (!data.empty()) {
    const auto n = ::write(fd, data.data(), data.size());
    if (n >= 0) {
      data.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return; // nobody reads the master's output any more
    }
  }
}

} // namespace

class output_forwarder::pump {
public:
  pump(output_forwarder& owner, int fd, output_line line)
      : owner_{owner}, pipe_{owner.context_, fd}, line_{std::move(line)} {
    pipe_.non_blocking(true);
  }

  void read(std::list<std::unique_ptr<pump>>::iterator self) {
    pipe_.async_read_some(boost::asio::buffer(buffer_), [this, self](boost::system::error_code ec, std::size_t n) {
      if (ec == boost::asio::error::operation_aborted)
        return;
      take(n);
      if (!ec) {
        read(self);
        return;
      }
      finish();
      owner_.pumps_.erase(self); // destroys this
    });
  }

  /// Hands on what is there without waiting.
  void drain() {
    boost::system::error_code ec;
    for (std::size_t taken = 0; !ec && taken < last_bytes_max;) {
      const auto n = pipe_.read_some(boost::asio::buffer(buffer_), ec);
      take(n);
      taken += n;
    }
    finish();
  }

private:
  void take(std::size_t n) {
    lines_.feed({buffer_.data(), n}, [this](std::string_view text) { hand_on(text); });
  }

  void finish() {
    lines_.finish([this](std::string_view text) { hand_on(text); });
  }

  void hand_on(std::string_view text) {
    line_.text = text;
    owner_.hand_on(line_);
  }

  output_forwarder& owner_;
  boost::asio::posix::stream_descriptor pipe_;
  output_line line_;
  line_splitter lines_{output_line_bytes_max};
  std::array<char, 4096> buffer_{};
};

output_forwarder::output_forwarder(output_callback on_output)
    : on_output_{std::move(on_output)}, work_{boost::asio::make_work_guard(context_)} {
  thread_ = std::thread{[this] {
    block_all_signals();
    context_.run();
  }};
}

output_forwarder::~output_forwarder() {
  boost::asio::post(context_, [this] {
    for (auto& one : pumps_)
      one->drain();
    pumps_.clear();
  });
  work_.reset();
  thread_.join();
}

void output_forwarder::add(int fd, node_id node, std::int32_t pid, output_stream stream) {
  boost::asio::post(context_, [this, fd, node, pid, stream] {
    auto line = output_line{node, pid, stream, {}};
    auto pos = pumps_.insert(pumps_.end(), std::make_unique<pump>(*this, fd, std::move(line)));
    (*pos)->read(pos);
  });
}

void output_forwarder::hand_on(const output_line& line) {
  if (on_output_) {
    on_output_(line);
    return;
  }
  const auto tagged =
      "[node " + std::to_string(line.node) + " pid " + std::to_string(line.pid) + "] " + line.text + "\n";
  write_whole(line.stream == output_stream::out ? STDOUT_FILENO : STDERR_FILENO, tagged);
}

} // namespace cluster_channel::detail
