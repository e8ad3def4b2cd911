#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/actors/process_host.hpp>
#include <cluster_channel/channels/child_channel.hpp>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace cluster_channel {

namespace {

/// What one read may bring, in bytes.
constexpr std::size_t read_bytes = std::size_t{64} << 10;

/// Longest time an answer waits for others to share its system call while the next handler runs.
constexpr auto flush_after = std::chrono::milliseconds{1};

constexpr int no_link = -1;

/// The descriptor named in the environment, or `no_link`.
int named_link() noexcept {
  const char* text = std::getenv(link_fd_variable);
  if (!text)
    return no_link;
  int fd = no_link;
  const auto* end = text + std::strlen(text);
  if (auto [rest, ec] = std::from_chars(text, end, fd); ec != std::errc{} || rest != end || fd < 0)
    return no_link;
  return ::fcntl(fd, F_GETFD) < 0 ? no_link : fd;
}

int take_named_link() {
  const auto fd = named_link();
  ::unsetenv(link_fd_variable);
  if (fd != no_link)
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

std::string system_error_text(int code) {
  return std::generic_category().message(code);
}

} // namespace

bool is_child() noexcept {
  return named_link() != no_link;
}

/// The write half of the link, which answers outlive the channel with, and what `run` reads from.
class child_channel::link final : public call_target, public std::enable_shared_from_this<link> {
public:
  link(int fd, std::size_t frame_bytes_max) : fd_{fd}, frame_bytes_max_{frame_bytes_max} {}

  link(const link&) = delete;
  link& operator=(const link&) = delete;

  ~link() override {
    close();
    if (flusher_.joinable())
      flusher_.join();
    if (fd_ != no_link)
      ::close(fd_);
  }

  int fd() const noexcept { return fd_; }
  std::size_t frame_bytes_max() const noexcept { return frame_bytes_max_; }

  /// Ends reading and writing. The descriptor itself stays until destruction, as another thread may be using it.
  void close() {
    std::lock_guard guard{mutex_};
    if (closed_)
      return;
    closed_ = true;
    if (fd_ != no_link)
      ::shutdown(fd_, SHUT_RDWR);
    wake_flusher_.notify_all();
  }

  // -- writing ----------------------------------------------------------------

  /// Writes an answer: at once, unless the thread of `run` is in the middle of a batch of calls, whose answers share a
  /// system call.
  void write_answer(call_id id, answer&& x) {
    std::lock_guard guard{mutex_};
    if (closed_)
      return;
    caf::error err;
    if (auto* data = std::get_if<bytes>(&x))
      err = write_frame(out_, response{id, std::move(*data)}, frame_bytes_max_);
    else
      err = write_frame(out_, error_message{id, std::move(std::get<failure>(x))}, frame_bytes_max_);
    if (err) {
      auto what = failure_of(err);
      what.text = "the answer does not fit: " + what.text;
      static_cast<void>(write_frame(out_, error_message{id, std::move(what)}, frame_bytes_max_));
    }
    if (batch_thread_ != std::this_thread::get_id())
      flush_locked();
  }

  void write_now(const message& msg) {
    std::lock_guard guard{mutex_};
    if (closed_)
      return;
    static_cast<void>(write_frame(out_, msg, frame_bytes_max_));
    flush_locked();
  }

  /// From now on answers from this thread wait for `end_batch`, but never longer than `flush_after`: the next handler
  /// of the batch may run long.
  void begin_batch() {
    std::lock_guard guard{mutex_};
    batch_thread_ = std::this_thread::get_id();
  }

  /// Called between two handlers of a batch.
  void next_in_batch() {
    std::lock_guard guard{mutex_};
    if (out_.empty() || flusher_awake_ || closed_)
      return;
    if (!flusher_.joinable())
      flusher_ = std::thread{[this] { flush_late(); }};
    flusher_awake_ = true;
    wake_flusher_.notify_one();
  }

  void end_batch() {
    std::lock_guard guard{mutex_};
    batch_thread_ = {};
    flush_locked();
  }

  // -- call_target: what this end calls ---------------------------------------

  void submit(pending_call_ptr call) override {
    call->fail(errc::no_handler, "a child cannot call its master's slots in this version");
  }

  void announce(const message& registration) override {
    if (serving_.load())
      write_now(registration);
  }

  caf::timespan default_timeout() const noexcept override { return no_timeout; }

  void begin_serving() { serving_.store(true); }

private:
  /// Sends all of `out_`. The master always reads, so blocking here cannot lock the two ends.
  void flush_locked() {
    std::size_t sent = 0;
    while (sent < out_.size() && !closed_) {
      const auto n = ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
      if (n >= 0)
        sent += static_cast<std::size_t>(n);
      else if (errno != EINTR)
        closed_ = true; // the master is gone; `run` reads end of file or the error
    }
    if (out_.capacity() > kept_bytes)
      std::vector<char>{}.swap(out_);
    else
      out_.clear();
  }

  void flush_late() {
    std::unique_lock guard{mutex_};
    while (!closed_) {
      wake_flusher_.wait(guard, [this] { return flusher_awake_ || closed_; });
      wake_flusher_.wait_for(guard, flush_after, [this] { return closed_; });
      if (!closed_)
        flush_locked();
      flusher_awake_ = false;
    }
  }

  static constexpr std::size_t kept_bytes = std::size_t{1} << 20;

  const int fd_;
  const std::size_t frame_bytes_max_;
  std::mutex mutex_;
  std::vector<char> out_;
  bool closed_ = false;
  std::thread::id batch_thread_;
  std::atomic<bool> serving_{false};
  std::thread flusher_;
  std::condition_variable wake_flusher_;
  bool flusher_awake_ = false;
};

namespace {

/// Sends the answer of one call to the master.
template <class Link>
class link_sink final : public answer_sink {
public:
  link_sink(std::shared_ptr<Link> to, call_id id) : to_{std::move(to)}, id_{id} {}

  void answered(answer&& x) noexcept override { to_->write_answer(id_, std::move(x)); }

private:
  std::shared_ptr<Link> to_;
  call_id id_;
};

int complain(const std::string& text) {
  std::fprintf(stderr, "cluster_channel child %d: %s\n", static_cast<int>(::getpid()), text.c_str());
  return EXIT_FAILURE;
}

} // namespace

child_channel::child_channel() : child_channel{take_named_link()} {
  // nop
}

child_channel::child_channel(int fd, std::size_t frame_bytes_max) : link_{std::make_shared<link>(fd, frame_bytes_max)} {
  // nop
}

child_channel::~child_channel() {
  link_->close();
}

std::shared_ptr<call_target> child_channel::connect(bus_connection bus) {
  if (bus_.on_request)
    throw std::logic_error("this child_channel already serves an event_bus");
  bus_ = std::move(bus);
  return link_;
}

int child_channel::run() {
  if (link_->fd() == no_link)
    return complain(std::string{"no link in "} + link_fd_variable +
                    ": this program serves a master, start it through a master_channel");
  if (!bus_.on_request)
    return complain("no event_bus was made with this child_channel");
  const hello ours{protocol_version, binary_codec, bus_.slots};
  link_->write_now(ours);
  link_->begin_serving();
  for (auto& registration : bus_.registrations())
    link_->write_now(registration);

  frame_reader reader{link_->frame_bytes_max()};
  std::vector<std::byte> buffer(read_bytes);
  bool greeted = false;
  for (;;) {
    const auto n = ::recv(link_->fd(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno != ECONNRESET)
      return complain("cannot read the link: " + system_error_text(errno));
    if (n <= 0)
      return reader.mid_frame() ? complain("the link was closed in the middle of a message") : EXIT_SUCCESS;
    reader.feed(std::span{buffer}.first(static_cast<std::size_t>(n)));
    link_->begin_batch();
    bool first = true;
    while (auto next = reader.next()) {
      if (auto* theirs = std::get_if<hello>(&*next)) {
        if (auto err = compare_hellos(*theirs, ours))
          return complain(failure_of(err).text);
        greeted = true;
      } else if (!greeted) {
        return complain("the master's first message was no hello");
      } else if (auto* call = std::get_if<request>(&*next)) {
        if (!std::exchange(first, false))
          link_->next_in_batch();
        auto sink = std::make_shared<link_sink<link>>(link_, call->id);
        bus_.on_request(std::make_shared<pending_call>(std::move(call->slot), std::move(call->param),
                                                       std::move(call->data), std::move(sink)));
      }
    }
    link_->end_batch();
    if (reader.error())
      return complain("the master sent what is no valid message: " + failure_of(reader.error()).text);
  }
}

} // namespace cluster_channel
