#include <cluster_channel/actors/answer_journal.hpp>
#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/actors/process_host.hpp>
#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/link_reader.hpp>
#include <cluster_channel/serialization/node_ipc.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <limits>
#include <mutex>
#include <optional>
#include <poll.h>
#include <span>
#include <string>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace cluster_channel {

namespace {

/// What one read may bring, in bytes.
constexpr std::size_t read_bytes = std::size_t{64} << 10;

/// Longest time an answer waits for others to share its system call while the next handler runs.
constexpr auto flush_after = std::chrono::milliseconds{1};

/// What every master takes, whatever it says in its hello, in bytes.
constexpr std::size_t small_frame_bytes = 1024;

/// Calls of the master's that are kept while a handler waits, and their requests in bytes: a Node master does not know
/// how many it may have running here. One that is larger is kept alone.
constexpr std::size_t kept_calls_max = 1'000'000;
constexpr std::size_t kept_bytes_max = std::size_t{256} << 20;

constexpr int no_link = -1;

/// A link and what is spoken on it.
struct named_link {
  int fd = no_link;
  message_codec codec = message_codec::binary;
  std::string problem; // why it cannot be used
};

/// What a variable of the environment says of a link, and what is wrong with it.
struct link_claim {
  const char* variable = nullptr;
  int fd = no_link;
  message_codec codec = message_codec::binary;
  const char* wrong = nullptr;
};

std::optional<std::uint64_t> number_in(const char* text) noexcept {
  std::uint64_t result = 0;
  const auto* end = text ? text + std::strlen(text) : nullptr;
  if (auto [rest, ec] = std::from_chars(text, end, result); !text || ec != std::errc{} || rest != end)
    return std::nullopt;
  return result;
}

int socket_option(int fd, int option) noexcept {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/// What is wrong with `fd` as the link to a master, or nothing. A master of this library says which socket it made; for
/// Node's word any connected one must do.
const char* wrong_with(int fd, bool made_by_node) noexcept {
  struct stat status {};
  if (::fstat(fd, &status) != 0)
    return "no open descriptor";
  if (!S_ISSOCK(status.st_mode))
    return "no socket";
  if (socket_option(fd, SO_DOMAIN) != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_STREAM)
    return "no Unix stream socket";
  if (!made_by_node) {
    const auto id = number_in(std::getenv(link_id_variable));
    return id && *id == status.st_ino ? nullptr : "another socket than CLUSTER_CHANNEL_LINK names";
  }
  sockaddr_storage far_end{};
  socklen_t size = sizeof far_end;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&far_end), &size) == 0 ? nullptr : "no connected socket";
}

/// Empty if `variable` is not set.
std::optional<link_claim> claim_of(const char* variable, message_codec codec, bool made_by_node) noexcept {
  const char* text = std::getenv(variable);
  if (!text)
    return std::nullopt;
  const auto number = number_in(text);
  if (!number || *number > static_cast<std::uint64_t>(std::numeric_limits<int>::max()))
    return link_claim{variable, no_link, codec, "no number of a descriptor"};
  const auto fd = static_cast<int>(*number);
  return link_claim{variable, fd, codec, wrong_with(fd, made_by_node)};
}

/// A master of this library names its link itself, or as Node does. The first that is right; else the first.
std::optional<link_claim> find_link(child_of whose) noexcept {
  const auto ours = claim_of(link_fd_variable, message_codec::binary, false);
  if (ours && !ours->wrong)
    return ours;
  const auto nodes = claim_of(node_fd_variable, message_codec::json, whose == child_of::node_too);
  return nodes && (!nodes->wrong || !ours) ? nodes : ours;
}

/// A program that is its own child was executed as /proc/self/exe, and is called "exe" by tools like ps(1) and top(1).
void take_own_name() noexcept {
  std::array<char, 16> name{};
  if (::prctl(PR_GET_NAME, name.data()) == 0 && std::strcmp(name.data(), "exe") == 0)
    ::prctl(PR_SET_NAME, program_invocation_short_name);
}

named_link take_named_link() {
  named_link result;
  if (const auto found = find_link(child_of::node_too)) {
    result.codec = found->codec;
    if (found->wrong)
      result.problem = std::string{found->variable} + " is " + std::getenv(found->variable) + ", which is " +
                       found->wrong + ": no master has started this program so";
    else
      result.fd = found->fd;
  }
  if (const auto* mode = std::getenv(node_mode_variable);
      mode && result.fd != no_link && result.codec == message_codec::json && std::string_view{mode} != node_mode_json)
    result.problem = std::string{"Node's IPC uses serialization '"} + mode +
                     "': start this program with serialization: 'json', which is Node's default";
  never_a_child();
  if (result.fd != no_link) {
    ::fcntl(result.fd, F_SETFD, FD_CLOEXEC);
    ::fcntl(result.fd, F_SETFL, ::fcntl(result.fd, F_GETFL) & ~O_NONBLOCK);
    take_own_name();
  }
  return result;
}

std::string system_error_text(int code) {
  return std::generic_category().message(code);
}

int complain(const std::string& text) {
  std::fprintf(stderr, "cluster_channel child %d: %s\n", static_cast<int>(::getpid()), text.c_str());
  return EXIT_FAILURE;
}

} // namespace

bool is_child(child_of whose) noexcept {
  const auto found = find_link(whose);
  return found && !found->wrong;
}

void never_a_child() noexcept {
  for (const auto* name : {link_fd_variable, link_id_variable, node_fd_variable, node_mode_variable})
    ::unsetenv(name);
}

/// The link's descriptor, its write half, and what is spoken on it.
class child_channel::socket {
public:
  /// @param frame_bytes_max what this end takes; by default what the master is willing to send, if it says that.
  socket(named_link link, std::optional<std::size_t> frame_bytes_max)
      : fd_{link.fd},
        codec_kind_{link.codec},
        problem_{std::move(link.problem)},
        frame_bytes_max_{frame_bytes_max.value_or(link.codec == message_codec::json ? default_frame_bytes_max
                                                                                    : largest_frame_bytes)} {}

  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;

  ~socket() {
    close();
    if (flusher_.joinable())
      flusher_.join();
    if (fd_ != no_link)
      ::close(fd_);
  }

  int fd() const noexcept { return fd_; }
  const std::string& problem() const noexcept { return problem_; }
  std::size_t frame_bytes_max() const noexcept { return frame_bytes_max_; }

  /// To be called once, before anything is read or written.
  void begin(std::shared_ptr<const json_forms> forms) {
    std::lock_guard guard{mutex_};
    codec_ = codec_kind_ == message_codec::json ? make_json_link_codec(frame_bytes_max_, [forms] { return forms; })
                                                : make_binary_link_codec(frame_bytes_max_);
    greeted_ = !codec_->has_hello();
  }

  /// The thread of `run` has no one else to read the master's hello for it.
  void set_reader(std::function<void()> read_hello) {
    std::lock_guard guard{mutex_};
    read_hello_ = std::move(read_hello);
    reader_ = std::this_thread::get_id();
  }

  /// The master said hello, and takes frames of `frame_bytes_max`; 0: it did not say, or there is no hello to come.
  void greeted(std::size_t frame_bytes_max) {
    std::lock_guard guard{mutex_};
    greeted_ = true;
    if (frame_bytes_max > 0)
      codec_->limit_writes(frame_bytes_max);
    greeting_.notify_all();
  }

  // -- what the codec makes of what was read: a codec keeps the requests that it must answer, so it is shared ---------

  void feed(bytes_view data) {
    std::lock_guard guard{mutex_};
    codec_->feed(data);
  }

  std::optional<message> next() {
    std::lock_guard guard{mutex_};
    return codec_->next(out_);
  }

  caf::error error() {
    std::lock_guard guard{mutex_};
    return codec_->error();
  }

  bool mid_message() {
    std::lock_guard guard{mutex_};
    return codec_->mid_message();
  }

  bool has_hello() {
    std::lock_guard guard{mutex_};
    return codec_->has_hello();
  }

  /// Ends reading and writing. The descriptor itself stays until destruction, as another thread may be using it.
  void close() {
    std::lock_guard guard{mutex_};
    if (closed_)
      return;
    closed_ = true;
    if (fd_ != no_link)
      ::shutdown(fd_, SHUT_RDWR);
    greeting_.notify_all();
    wake_flusher_.notify_all();
  }

  /// The master shares memory, which `fd` stands for: only with it do answers wait for each other.
  void share(int fd) {
    std::lock_guard guard{mutex_};
    if (journal_)
      ::close(fd);
    else
      journal_ = std::make_unique<journal_writer>(fd, sent_before_journal_);
  }

  /// Writes at once; only answers from the thread of `run`, in the middle of a batch of calls, share a system call.
  /// They are noted where the master finds them, as the next handler may be the end of this process.
  caf::error write(const message& msg) {
    const auto is_answer = std::holds_alternative<response>(msg) || std::holds_alternative<error_message>(msg);
    std::unique_lock guard{mutex_};
    if (!greeted_ && frame_size(msg) > small_frame_bytes)
      await_greeting(guard);
    if (closed_)
      return {};
    const auto before = out_.size();
    if (auto err = codec_->write(out_, msg))
      return err;
    if (!is_answer || batch_thread_ != std::this_thread::get_id() || !journal_ ||
        !journal_->note(std::span{out_}.subspan(before)))
      flush_locked();
    return {};
  }

  /// From now on answers from this thread may wait for `end_batch`, but never longer than `flush_after`: the next
  /// handler of the batch may run long.
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

  /// Sends what waits.
  void flush() {
    std::lock_guard guard{mutex_};
    flush_locked();
  }

private:
  /// Only then it is known what the master takes.
  void await_greeting(std::unique_lock<std::mutex>& guard) {
    if (reader_ == std::this_thread::get_id()) {
      const auto read_hello = read_hello_;
      guard.unlock();
      read_hello();
      guard.lock();
    } else {
      greeting_.wait(guard, [this] { return greeted_ || closed_; });
    }
  }

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
    if (journal_)
      journal_->sent(sent);
    else
      sent_before_journal_ += sent;
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
  const message_codec codec_kind_;
  const std::string problem_;
  const std::size_t frame_bytes_max_;
  std::mutex mutex_; // for all below
  std::unique_ptr<link_codec> codec_;
  std::vector<char> out_;
  bool closed_ = false;
  bool greeted_ = false;
  std::condition_variable greeting_;
  std::unique_ptr<journal_writer> journal_; // null: the master shares none
  std::uint64_t sent_before_journal_ = 0;
  std::thread::id batch_thread_;
  std::thread flusher_;
  std::condition_variable wake_flusher_;
  bool flusher_awake_ = false;
  std::function<void()> read_hello_; // to be called by `reader_` only
  std::thread::id reader_;
};

/// The read half: belongs to the thread of `run`.
class child_channel::reader final : public detail::link_reader {
public:
  reader(child_channel& channel, const hello& ours)
      : channel_{channel}, socket_{*channel.socket_}, ours_{ours}, greeted_{!socket_.has_hello()} {
    socket_.set_reader([this] {
      while (!greeted_ && !ended_)
        read();
    });
  }

  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  ~reader() {
    socket_.set_reader([] {});
    socket_.greeted(0);
  }

  /// Serves until end of file or an error. @returns the exit code.
  int run() {
    do {
      socket_.begin_batch();
      for (bool first = true; !calls_.empty(); first = false) {
        if (!first)
          socket_.next_in_batch();
        auto call = std::move(calls_.front());
        calls_.pop_front();
        kept_bytes_ -= call.data.size();
        channel_.message_received(std::move(call));
      }
      socket_.end_batch();
    } while (!ended_ && read());
    return exit_code_;
  }

  // -- link_reader ------------------------------------------------------------

  void read_until(const std::function<bool()>& done,
                  std::optional<std::chrono::steady_clock::time_point> deadline) override {
    socket_.flush();
    while (!done()) {
      std::array<pollfd, 2> events{pollfd{wake_->fd(), POLLIN, 0}, pollfd{socket_.fd(), POLLIN, 0}};
      const auto n = ::poll(events.data(), ended_ ? 1 : 2, poll_timeout(deadline));
      if (n == 0 && deadline && std::chrono::steady_clock::now() >= *deadline)
        return;
      if (events[0].revents != 0)
        wake_->take();
      if (n > 0 && events[1].revents != 0)
        read();
    }
  }

  std::function<void()> waker() override {
    if (!wake_)
      wake_ = std::make_shared<wake_up>();
    return [wake = wake_] { wake->give(); };
  }

private:
  /// An eventfd.
  class wake_up {
  public:
    wake_up() : fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
      if (fd_ < 0)
        throw std::system_error(errno, std::generic_category(), "child_channel: cannot wait for an answer: eventfd");
    }
    wake_up(const wake_up&) = delete;
    wake_up& operator=(const wake_up&) = delete;
    ~wake_up() { ::close(fd_); }
    int fd() const noexcept { return fd_; }
    void give() const noexcept { ::eventfd_write(fd_, 1); }
    void take() const noexcept {
      eventfd_t count = 0;
      ::eventfd_read(fd_, &count);
    }

  private:
    int fd_;
  };

  static int poll_timeout(std::optional<std::chrono::steady_clock::time_point> deadline) {
    using namespace std::chrono;
    if (!deadline)
      return -1;
    const auto left = ceil<milliseconds>(*deadline - steady_clock::now());
    return static_cast<int>(std::clamp<milliseconds::rep>(left.count(), 0, std::numeric_limits<int>::max()));
  }

  /// Reads once: keeps the master's calls in `calls_`, takes in everything else at once. @returns false at the end.
  bool read() {
    const auto n = greeted_ ? ::recv(socket_.fd(), buffer_.data(), buffer_.size(), 0) : receive_with_memory();
    if (n < 0 && errno == EINTR)
      return true;
    if (n < 0 && errno != ECONNRESET)
      return end(complain("cannot read the link: " + system_error_text(errno)));
    if (n <= 0)
      return end(socket_.mid_message() ? complain("the link was closed in the middle of a message") : EXIT_SUCCESS);
    socket_.feed(std::span{buffer_}.first(static_cast<std::size_t>(n)));
    while (auto next = socket_.next()) {
      if (const auto* theirs = std::get_if<hello>(&*next)) {
        if (auto err = compare_hellos(*theirs, ours_))
          return end(complain(failure_of(err).text));
        greeted_ = true;
        socket_.greeted(theirs->frame_bytes_max);
      } else if (!greeted_) {
        return end(complain("the master's first message was no hello"));
      } else if (auto* call = std::get_if<request>(&*next)) {
        keep(std::move(*call));
      } else {
        channel_.message_received(std::move(*next));
      }
    }
    socket_.flush(); // what the codec answered itself
    if (auto err = socket_.error())
      return end(complain("the master sent what is no valid message: " + failure_of(err).text));
    return true;
  }

  /// Before its hello the master may pass memory to share: see answer_journal.hpp.
  ssize_t receive_with_memory() {
    iovec data{buffer_.data(), buffer_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr msg{};
    msg.msg_iov = &data;
    msg.msg_iovlen = 1;
    msg.msg_control = control.data();
    msg.msg_controllen = control.size();
    const auto n = ::recvmsg(socket_.fd(), &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
      return n;
    for (auto* part = CMSG_FIRSTHDR(&msg); part; part = CMSG_NXTHDR(&msg, part))
      if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS && part->cmsg_len == CMSG_LEN(sizeof(int))) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part), sizeof fd);
        socket_.share(fd);
      }
    return n;
  }

  void keep(request call) {
    const auto left = kept_bytes_max - std::min(kept_bytes_, kept_bytes_max);
    if (calls_.size() >= kept_calls_max || (!calls_.empty() && call.data.size() > left)) {
      static_cast<void>(socket_.write(error_message{
          call.id, {.code = errc::buffer_full, .text = "too many calls wait in this child: its handlers are busy"}}));
      return;
    }
    kept_bytes_ += call.data.size();
    calls_.push_back(std::move(call));
  }

  bool end(int exit_code) {
    ended_ = true;
    exit_code_ = exit_code;
    socket_.greeted(0);
    channel_.disconnected(); // what waits for the master's answers ends
    return false;
  }

  child_channel& channel_;
  socket& socket_;
  const hello& ours_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(read_bytes);
  std::deque<request> calls_;  // of the master's, not handled yet
  std::size_t kept_bytes_ = 0; // of their requests
  std::shared_ptr<wake_up> wake_;
  bool greeted_;
  bool ended_ = false;
  int exit_code_ = EXIT_SUCCESS;
};

child_channel::child_channel() : socket_{std::make_shared<socket>(take_named_link(), std::nullopt)} {
  // nop
}

child_channel::child_channel(int fd, std::size_t frame_bytes_max, message_codec codec)
    : socket_{std::make_shared<socket>(named_link{fd, codec, {}}, frame_bytes_max)} {
  // nop
}

child_channel::~child_channel() {
  if (mark_.in_copy()) { // the link is the original's, and so is the thread that may wait in here
    // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): there is no way on without it
    static_cast<void>(new std::shared_ptr{std::move(socket_)});
    return;
  }
  socket_->close();
  detach();
}

std::shared_ptr<call_target> child_channel::connect(std::shared_ptr<channel_listener> listener) {
  auto result = generic_channel::connect(listener);
  slots_ = listener->slots();
  socket_->begin(listener->forms());
  return result;
}

caf::error child_channel::send(message msg) {
  if (mark_.in_copy())
    return make_error(errc::channel_closed, "this process is a forked copy of the child");
  if (auto* ours = std::get_if<hello>(&msg))
    ours->frame_bytes_max = static_cast<std::uint32_t>(std::min(socket_->frame_bytes_max(), largest_frame_bytes));
  return socket_->write(msg);
}

int child_channel::run() {
  if (!socket_->problem().empty())
    return complain(socket_->problem());
  if (socket_->fd() == no_link)
    return complain(std::string{"no link in "} + link_fd_variable + " or " + node_fd_variable +
                    ": this program serves a master, start it through a master_channel, or from Node with an 'ipc' "
                    "channel");
  if (!has_bus())
    return complain("no event_bus was made with this child_channel");
  const hello ours{protocol_version, binary_codec, slots_};
  reader link{*this, ours};
  const detail::reads_on_this_thread while_running{link};
  try {
    connected(); // says hello, and which handlers there are
    return link.run();
  } catch (const std::exception& ex) { // no memory: what a handler throws does not come here
    return complain(std::string{"cannot go on: "} + ex.what());
  }
}

} // namespace cluster_channel
