#include <cluster_channel/actors/detail/child_setup.hpp>
#include <cluster_channel/actors/detail/guarded.hpp>
#include <cluster_channel/actors/detail/line_splitter.hpp>
#include <cluster_channel/actors/detail/output_forwarder.hpp>
#include <cluster_channel/actors/detail/signals.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <cerrno>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace cluster_channel::detail {

namespace {

/// Most bytes taken from one pipe at once: all that it holds by default, pipe(7).
constexpr std::size_t read_bytes_max = std::size_t{64} << 10;

/// Most bytes taken from one pipe when the forwarder goes: as much as a pipe can be made to hold without privileges,
/// and yet an end even if a grandchild never stops printing.
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

/// One pipe. It is waited for and then read, never read in the background: so no byte is on its way, and nothing of it
/// in use, when the forwarder closes it.
class output_forwarder::pump : public std::enable_shared_from_this<pump> {
public:
  pump(output_forwarder& owner, pipe from, output_line line)
      : owner_{owner}, pipe_{std::move(from)}, line_{std::move(line)} {}

  void wait() {
    until_there_is_memory([this] {
      pipe_.async_wait(pipe::wait_read, [self = shared_from_this()](boost::system::error_code ec) {
        if (!ec && self->pipe_.is_open())
          self->read();
      });
    });
  }

  /// Hands on what is there without waiting, and closes the pipe.
  void drain() {
    boost::system::error_code ec;
    for (std::size_t taken = 0; !ec && taken < last_bytes_max;)
      taken += read_some(ec);
    finish();
  }

private:
  void read() {
    boost::system::error_code ec;
    read_some(ec);
    if (!ec || ec == boost::asio::error::would_block) {
      wait();
    } else {
      finish();
      owner_.forget({line_.node, line_.stream});
    }
  }

  std::size_t read_some(boost::system::error_code& ec) {
    const auto n = pipe_.read_some(boost::asio::buffer(owner_.buffer_), ec);
    lines_.feed({owner_.buffer_.data(), n}, [this](std::string_view text) { hand_on(text); });
    return n;
  }

  void finish() {
    lines_.finish([this](std::string_view text) { hand_on(text); });
    boost::system::error_code ignored;
    pipe_.close(ignored);
  }

  void hand_on(std::string_view text) {
    until_there_is_memory([&] { line_.text = text; });
    owner_.hand_on(line_);
  }

  output_forwarder& owner_;
  pipe pipe_;
  output_line line_;
  line_splitter lines_{output_line_bytes_max};
};

output_forwarder::output_forwarder(output_callback on_output)
    : on_output_{std::move(on_output)},
      out_{is_standard_fd(STDOUT_FILENO) ? STDOUT_FILENO : -1},
      err_{is_standard_fd(STDERR_FILENO) ? STDERR_FILENO : -1},
      work_{boost::asio::make_work_guard(context_)},
      buffer_(read_bytes_max) {
  signals_blocked foreign{foreign_signals()};
  thread_ = std::thread{[this] { context_.run(); }};
}

output_forwarder::~output_forwarder() {
  until_there_is_memory([this] {
    boost::asio::post(context_, [this] { // runs before the thread is joined, as what `add` posts
      for (const auto& [name, one] : pumps_)
        one->drain();
      pumps_.clear();
    });
  });
  work_.reset();
  thread_.join();
}

output_forwarder::pipe output_forwarder::watch(int fd) {
  pipe result{context_, fd}; // the one step that may throw: from here on it owns fd
  boost::system::error_code ignored;
  result.non_blocking(true, ignored); // fails for a bad descriptor only
  return result;
}

void output_forwarder::add(pipe from, node_id node, std::int32_t pid, output_stream stream) {
  boost::asio::post(context_, [this, node, pid, stream, from = std::move(from)]() mutable {
    std::shared_ptr<pump> one;
    until_there_is_memory([&] {
      one = std::make_shared<pump>(*this, std::move(from), output_line{node, pid, stream, {}});
    });
    until_there_is_memory([&] { pumps_[{node, stream}] = one; });
    one->wait();
  });
}

void output_forwarder::child_ended(node_id node) {
  boost::asio::post(context_, [this, node] {
    leave({node, output_stream::out});
    leave({node, output_stream::err});
  });
}

void output_forwarder::leave(const pipe_name& name) {
  if (!pumps_.contains(name))
    return; // read to its end
  until_there_is_memory([&] { left_.push_back(name); });
  if (left_.size() <= left_pipes_max)
    return;
  const auto oldest = left_.front();
  pumps_.at(oldest)->drain();
  forget(oldest);
}

void output_forwarder::forget(const pipe_name& name) {
  pumps_.erase(name);
  std::erase(left_, name);
}

void output_forwarder::hand_on(const output_line& line) {
  if (on_output_) {
    on_output_(line);
    return;
  }
  const auto fd = line.stream == output_stream::out ? out_ : err_;
  if (fd < 0)
    return;
  std::string tagged;
  until_there_is_memory([&] {
    tagged = "[node " + std::to_string(line.node) + " pid " + std::to_string(line.pid) + "] ";
    tagged += line.text;
    tagged += '\n';
  });
  write_whole(fd, tagged);
}

} // namespace cluster_channel::detail
