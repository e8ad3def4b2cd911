// The child's end alone: the test holds the master's end of the socket and speaks frames.

#include <cluster_channel/actors/answer_journal.hpp>
#include <cluster_channel/actors/process_host.hpp>
#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/serialization/codec.hpp>
#include <cluster_channel/serialization/frame.hpp>
#include <cluster_channel/serialization/node_ipc.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_events.hpp"
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <latch>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// A child on a thread of its own, and the master's end of its link.
class ChildChannel : public ::testing::Test {
protected:
  using register_function = std::function<void(test_events&)>;

  void start(register_function handlers, std::size_t frame_bytes_max = default_frame_bytes_max) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    master_ = fds[0];
    exit_code_ = std::async(std::launch::async, [this, fd = fds[1], handlers, frame_bytes_max] {
      child_channel channel{fd, frame_bytes_max};
      event_bus<test_events> bus{channel};
      bus_.set_value(&bus);
      handlers(bus);
      return channel.run();
    });
  }

  ~ChildChannel() override { hang_up(); }

  void hang_up() {
    if (master_ >= 0)
      ::close(std::exchange(master_, -1));
  }

  int exit_code() {
    hang_up();
    return exit_code_.get();
  }

  void send(const message& msg) {
    std::vector<char> out;
    ASSERT_FALSE(write_frame(out, msg, default_frame_bytes_max));
    send_bytes(out);
  }

  void send_bytes(const std::vector<char>& out) {
    ASSERT_EQ(::send(master_, out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
  }

  void greet() { send(hello{protocol_version, binary_codec, {}}); }

  /// The next message from the child; empty at end of file or after 10 s.
  std::optional<message> receive() {
    for (;;) {
      if (auto next = reader_.next())
        return next;
      pollfd readable{master_, POLLIN, 0};
      std::array<std::byte, 4096> buffer;
      if (reader_.error() || ::poll(&readable, 1, 10'000) <= 0)
        return std::nullopt;
      const auto n = ::read(master_, buffer.data(), buffer.size());
      if (n <= 0)
        return std::nullopt;
      heard_bytes_ += static_cast<std::uint64_t>(n);
      reader_.feed(std::span{buffer}.first(static_cast<std::size_t>(n)));
    }
  }

  /// The next message that is a response or an error.
  std::optional<message> receive_answer() {
    for (;;) {
      auto next = receive();
      if (!next || std::holds_alternative<response>(*next) || std::holds_alternative<error_message>(*next))
        return next;
    }
  }

  failure receive_error() {
    auto next = receive_answer();
    if (!next || !std::holds_alternative<error_message>(*next)) {
      ADD_FAILURE() << "no error came";
      return {};
    }
    return std::get<error_message>(*next).what;
  }

  template <class T>
  T receive_response(call_id id) {
    auto next = receive_answer();
    if (!next || !std::holds_alternative<response>(*next)) {
      ADD_FAILURE() << "no response came";
      return {};
    }
    EXPECT_EQ(std::get<response>(*next).id, id);
    return *decode<T>(std::get<response>(*next).data);
  }

  template <class T>
  request make_request(call_id id, const char* slot, const T& data) {
    return {id, slot, default_param, encode(data)};
  }

  /// Says hello, and passes `fd` along with it.
  void share(int fd) {
    std::vector<char> out;
    ASSERT_FALSE(write_frame(out, hello{protocol_version, binary_codec, {}}, default_frame_bytes_max));
    iovec data{out.data(), out.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr msg{};
    msg.msg_iov = &data;
    msg.msg_iovlen = 1;
    msg.msg_control = control.data();
    msg.msg_controllen = control.size();
    auto* part = CMSG_FIRSTHDR(&msg);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
    ASSERT_EQ(::sendmsg(master_, &msg, MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
  }

  int master_ = -1;
  std::uint64_t heard_bytes_ = 0;
  frame_reader reader_;
  std::promise<test_events*> bus_;
  std::future<int> exit_code_;
};

void echo(test_events& bus) {
  bus.echo.on([](const std::string& x) { return x; });
}

TEST_F(ChildChannel, SaysHelloWithVersionCodecAndSlots) {
  start(echo);
  auto first = receive();
  ASSERT_TRUE(first && std::holds_alternative<hello>(*first));
  const auto& hi = std::get<hello>(*first);
  EXPECT_EQ(hi.version, protocol_version);
  EXPECT_EQ(hi.codec, binary_codec);
  ASSERT_EQ(hi.slots.size(), 6U);
  EXPECT_EQ(hi.slots[0].name, "add");
  EXPECT_THAT(hi.slots[0].signature, HasSubstr("sum"));
}

TEST_F(ChildChannel, AnnouncesItsHandlers) {
  start(echo);
  ASSERT_TRUE(receive());
  EXPECT_EQ(receive(), message(handler_registered{"echo", default_param}));
}

TEST_F(ChildChannel, AnnouncesLaterChangesOfHandlers) {
  start(echo);
  greet();
  ASSERT_TRUE(receive());
  ASSERT_TRUE(receive());
  auto* bus = bus_.get_future().get();
  send(make_request(1, "echo", std::string{"x"})); // its answer shows that run() serves
  ASSERT_TRUE(receive_answer());
  auto off = bus->ping.on(parameter{"p"}, [] {});
  EXPECT_EQ(receive(), message(handler_registered{"ping", "p"}));
  off();
  EXPECT_EQ(receive(), message(handler_unregistered{"ping", "p"}));
}

TEST_F(ChildChannel, AnswersACall) {
  start(echo);
  greet();
  send(make_request(17, "echo", std::string{"hello"}));
  EXPECT_EQ(receive_response<std::string>(17), "hello");
}

TEST_F(ChildChannel, ReturnsZeroAtEndOfFile) {
  start(echo);
  greet();
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(ChildChannel, AnswersEveryCallOfABatch) {
  start(echo);
  std::vector<char> out;
  ASSERT_FALSE(write_frame(out, hello{protocol_version, binary_codec, {}}, default_frame_bytes_max));
  for (call_id id = 1; id <= 100; ++id)
    ASSERT_FALSE(write_frame(out, make_request(id, "echo", std::to_string(id)), default_frame_bytes_max));
  send_bytes(out);
  for (call_id id = 1; id <= 100; ++id)
    EXPECT_EQ(receive_response<std::string>(id), std::to_string(id));
}

TEST_F(ChildChannel, AnAnswerDoesNotWaitForALongHandlerBehindIt) {
  std::latch may_end{1};
  start([&](test_events& bus) {
    echo(bus);
    bus.ping.on([&] { may_end.wait(); });
  });
  std::vector<char> out;
  ASSERT_FALSE(write_frame(out, hello{protocol_version, binary_codec, {}}, default_frame_bytes_max));
  ASSERT_FALSE(write_frame(out, make_request(1, "echo", std::string{"quick"}), default_frame_bytes_max));
  ASSERT_FALSE(write_frame(out, request{2, "ping", default_param, {}}, default_frame_bytes_max));
  send_bytes(out);
  EXPECT_EQ(receive_response<std::string>(1), "quick"); // while ping still runs
  may_end.count_down();
  EXPECT_TRUE(receive_answer());
}

TEST_F(ChildChannel, AnAnswerIsOnItsWayBeforeTheNextHandlerStarts) {
  bool was_there = false;
  std::latch looked{1};
  start([&](test_events& bus) {
    echo(bus);
    bus.ping.on([&] {
      pollfd readable{master_, POLLIN, 0};
      was_there = ::poll(&readable, 1, 0) == 1;
      looked.count_down();
    });
  });
  greet();
  ASSERT_TRUE(receive()); // hello
  ASSERT_TRUE(receive()); // of echo
  ASSERT_TRUE(receive()); // of ping
  std::vector<char> out;
  ASSERT_FALSE(write_frame(out, make_request(1, "echo", std::string{"quick"}), default_frame_bytes_max));
  ASSERT_FALSE(write_frame(out, request{2, "ping", default_param, {}}, default_frame_bytes_max));
  send_bytes(out);
  looked.wait(); // who reads before takes away what is looked for
  EXPECT_TRUE(was_there);
  EXPECT_TRUE(receive_answer());
  EXPECT_TRUE(receive_answer());
}

TEST_F(ChildChannel, AnAnswerThatWaitsForOthersIsNotedWhereTheMasterFindsIt) {
  const auto journal = journal_reader::make();
  ASSERT_GE(journal.fd(), 0);
  std::uint64_t received = 0;
  bytes noted;
  start([&](test_events& bus) {
    echo(bus);
    bus.ping.on([&] { noted = journal.rest(received); });
  });
  share(journal.fd());
  ASSERT_TRUE(receive()); // hello
  ASSERT_TRUE(receive()); // of echo
  ASSERT_TRUE(receive()); // of ping
  received = heard_bytes_;
  std::vector<char> out;
  ASSERT_FALSE(write_frame(out, make_request(1, "echo", std::string{"quick"}), default_frame_bytes_max));
  ASSERT_FALSE(write_frame(out, request{2, "ping", default_param, {}}, default_frame_bytes_max));
  send_bytes(out);
  EXPECT_TRUE(receive_answer());
  EXPECT_TRUE(receive_answer());
  frame_reader reader;
  reader.feed(noted);
  EXPECT_EQ(reader.next(), message{(response{1, encode(std::string{"quick"})})});
  EXPECT_TRUE(journal.rest(heard_bytes_).empty()) << "all was sent";
}

TEST_F(ChildChannel, TellsTheMasterItsLimit) {
  start(echo, 4096);
  EXPECT_EQ(std::get<hello>(*receive()).frame_bytes_max, 4096U);
}

TEST_F(ChildChannel, SendsNothingThatTheMasterDoesNotTake) {
  start([](test_events& bus) {
    bus.echo.on([](const std::string& x) { return x == "large" ? std::string(10'000, 'x') : x; });
  });
  send(hello{protocol_version, binary_codec, {}, 4096});
  send(make_request(1, "echo", std::string{"large"}));
  EXPECT_EQ(receive_error().code, errc::message_too_large);
  send(make_request(2, "echo", std::string{"small"}));
  EXPECT_EQ(receive_response<std::string>(2), "small");
}

TEST_F(ChildChannel, AnswersFromOtherThreads) {
  std::vector<std::jthread> workers;
  start([&](test_events& bus) {
    bus.echo.on([&](const std::string& x, promise<std::string> answer) {
      workers.emplace_back([x, answer] { answer.deliver(x); });
    });
  });
  greet();
  for (call_id id = 1; id <= 20; ++id)
    send(make_request(id, "echo", std::to_string(id)));
  std::vector<bool> seen(21);
  for (int i = 0; i < 20; ++i) {
    auto next = receive_answer();
    ASSERT_TRUE(next && std::holds_alternative<response>(*next));
    seen[std::get<response>(*next).id] = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 20);
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(ChildChannel, AnswersAnUnknownSlotWithAnErrorAtOnce) {
  start(echo);
  greet();
  send(request{1, "nothing", default_param, {}});
  const auto what = receive_error();
  EXPECT_EQ(what.code, errc::no_handler);
  EXPECT_THAT(what.text, HasSubstr("nothing"));
  EXPECT_THAT(what.text, HasSubstr("echo")) << "says what there is";
}

TEST_F(ChildChannel, AnswersASlotWithoutHandlerWithAnErrorAtOnce) {
  start(echo);
  greet();
  send(request{1, "ping", default_param, {}});
  EXPECT_EQ(receive_error().code, errc::no_handler);
  send(request{2, "echo", "other param", encode(std::string{"x"})});
  EXPECT_EQ(receive_error().code, errc::no_handler);
}

TEST_F(ChildChannel, AnswersDataThatDoesNotDecodeWithAnError) {
  start(echo);
  greet();
  send(request{1, "echo", default_param, bytes(2)});
  EXPECT_EQ(receive_error().code, errc::bad_payload);
  send(make_request(2, "echo", std::string{"still works"}));
  EXPECT_EQ(receive_response<std::string>(2), "still works");
}

TEST_F(ChildChannel, AnAnswerThatIsTooLargeFailsThatCallAlone) {
  start(
      [](test_events& bus) {
        bus.echo.on([](const std::string& x) { return x == "large" ? std::string(10'000, 'x') : x; });
      },
      4096);
  greet();
  send(make_request(1, "echo", std::string{"large"}));
  EXPECT_EQ(receive_error().code, errc::message_too_large);
  send(make_request(2, "echo", std::string{"small"}));
  EXPECT_EQ(receive_response<std::string>(2), "small");
}

TEST_F(ChildChannel, EndsWithAnErrorWhenTheMastersHelloDoesNotFit) {
  ::testing::internal::CaptureStderr();
  start(echo);
  send(hello{99, binary_codec, {}});
  while (receive()) {
  }
  EXPECT_EQ(exit_code(), 1);
  const auto said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("protocol version 99"));
}

TEST_F(ChildChannel, EndsWithAnErrorWhenTheMasterDoesNotSayHello) {
  start(echo);
  send(make_request(1, "echo", std::string{"x"}));
  EXPECT_EQ(exit_code_.get(), 1);
}

TEST_F(ChildChannel, EndsWithAnErrorOnGarbage) {
  start(echo);
  greet();
  send_bytes(std::vector<char>(100, '\xff'));
  EXPECT_EQ(exit_code_.get(), 1);
}

TEST_F(ChildChannel, EndsWithAnErrorWhenTheLinkClosesInTheMiddleOfAMessage) {
  start(echo);
  greet();
  send_bytes({10, 0, 0, 0, 2});
  EXPECT_EQ(exit_code(), 1);
}

TEST_F(ChildChannel, SurvivesAMasterThatIsGoneBeforeTheAnswer) {
  std::latch hung_up{1};
  start([&](test_events& bus) { bus.ping.on([&] { hung_up.wait(); }); });
  greet();
  send(request{1, "ping", default_param, {}});
  hang_up();
  hung_up.count_down();
  EXPECT_EQ(exit_code(), 0);
}

/// A process' environment as its master made it, for as long as a test runs.
class ChildEnvironment : public ::testing::Test {
public:
  ~ChildEnvironment() override { never_a_child(); }

  /// Names `fd` as the link of this launch.
  static void name_link(int fd) {
    struct stat status {};
    ::fstat(fd, &status);
    ::setenv(link_fd_variable, std::to_string(fd).c_str(), 1);
    ::setenv(link_id_variable, std::to_string(status.st_ino).c_str(), 1);
  }

  /// What a program says that takes itself for a child.
  static std::string complaint() {
    child_channel channel;
    const event_bus<test_events> bus{channel};
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(channel.run(), 1);
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(ChildEnvironment, TakesTheLinkAndRemovesItsName) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  name_link(fds[1]);
  EXPECT_TRUE(is_child());
  {
    const child_channel channel;
    EXPECT_FALSE(is_child()) << "a grandchild must not take the link for its own";
    EXPECT_EQ(std::getenv(link_fd_variable), nullptr);
    EXPECT_EQ(std::getenv(link_id_variable), nullptr);
    EXPECT_TRUE(::fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
  }
  EXPECT_LT(::fcntl(fds[1], F_GETFD), 0) << "closed with the channel";
  ::close(fds[0]);
}

TEST_F(ChildEnvironment, IgnoresANumberThatIsNoOpenDescriptor) {
  for (const auto* value : {"", "x", "-1", "3x", "99999"}) {
    ::setenv(link_fd_variable, value, 1);
    EXPECT_FALSE(is_child()) << value;
  }
}

TEST_F(ChildEnvironment, IgnoresADescriptorThatIsNoLinkAndSaysWhatItIs) {
  const auto ignores = [](int fd, const char* why) {
    name_link(fd);
    EXPECT_FALSE(is_child()) << why;
    EXPECT_THAT(complaint(), HasSubstr("CLUSTER_CHANNEL_FD is " + std::to_string(fd) + ", which is " + why));
    EXPECT_GE(::fcntl(fd, F_GETFD), 0) << "it belongs to somebody else";
    ::close(fd);
  };
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ignores(pipe[0], "no socket");
  ::close(pipe[1]);
  ignores(::open("/dev/null", O_RDWR), "no socket");
  ignores(::socket(AF_INET, SOCK_STREAM, 0), "no Unix stream socket");
  ignores(::socket(AF_UNIX, SOCK_DGRAM, 0), "no Unix stream socket");
}

TEST_F(ChildEnvironment, IgnoresASocketThatIsNotTheOneOfItsLaunch) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  name_link(fds[1]);
  ::setenv(link_fd_variable, std::to_string(fds[0]).c_str(), 1);
  EXPECT_FALSE(is_child());
  EXPECT_THAT(complaint(), HasSubstr("another socket"));
  ::setenv(link_fd_variable, std::to_string(fds[1]).c_str(), 1);
  EXPECT_FALSE(is_child()) << "without its id";
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_F(ChildEnvironment, TakesItselfForAChildOfNodesOnlyIfToldSo) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  ::setenv(node_fd_variable, std::to_string(fds[1]).c_str(), 1);
  EXPECT_FALSE(is_child()) << "process managers start all programs so";
  EXPECT_TRUE(is_child(child_of::node_too));
  ::setenv(link_id_variable, "1", 1);
  EXPECT_FALSE(is_child());
  name_link(fds[1]);
  ::unsetenv(link_fd_variable);
  EXPECT_TRUE(is_child()) << "a master of this library that speaks Node's IPC has made it";
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_F(ChildEnvironment, DoesNotMakeAMasterAChildThatSaysItIsNone) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  name_link(fds[1]);
  ::setenv(node_fd_variable, std::to_string(fds[1]).c_str(), 1);
  never_a_child();
  EXPECT_FALSE(is_child());
  EXPECT_FALSE(is_child(child_of::node_too));
  EXPECT_GE(::fcntl(fds[1], F_GETFD), 0);
  ::close(fds[0]);
  ::close(fds[1]);
}

TEST_F(ChildEnvironment, WithoutALinkRunSaysWhatToDo) {
  child_channel channel;
  const event_bus<test_events> bus{channel};
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(channel.run(), 1);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("start it through a master_channel"));
}

TEST_F(ChildEnvironment, AChannelServesOneBus) {
  child_channel channel;
  const event_bus<test_events> bus{channel};
  EXPECT_THROW(event_bus<test_events>{channel}, std::logic_error);
}

} // namespace

} // namespace cluster_channel
