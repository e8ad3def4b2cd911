// The proxy alone: a real socket whose far end the test holds, and a scoped actor in place of router and supervisor.
#pragma once

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/serialization/codec.hpp>

#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace cluster_channel::test {

inline constexpr auto deadline = std::chrono::seconds{10};

class ChildProxy : public ::testing::Test {
protected:
  /// Starts the proxy. What `at_once` sends it, it has in its mailbox when it starts.
  void start(void (*change)(pool_options&) = nullptr, const std::function<void(const caf::actor&)>& at_once = nullptr) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    link_ = fds[0];
    child_ = fds[1];
    auto settings = std::make_shared<link_settings>();
    settings->options.executable = "child";
    settings->options.disconnect_grace = std::chrono::milliseconds{30};
    settings->greeting = {protocol_version, binary_codec, {{"echo", "string -> string"}}};
    if (change)
      change(settings->options);
    // This scoped actor stands for the supervisor as well as for the router.
    const auto spawn = [&] {
      proxy_ = spawn_child_proxy(system_, actor_of(self_), actor_of(self_), {7, 4711, fds[0]}, settings);
    };
    if (!at_once)
      return spawn();
    std::promise<void> done;
    system_.middleman().backend().post([&] {
      spawn();
      at_once(proxy_);
      done.set_value();
    });
    done.get_future().get();
  }

  ~ChildProxy() override {
    hang_up();
    if (proxy_) {
      caf::anon_send_exit(proxy_, caf::exit_reason::kill);
      self_->wait_for(proxy_);
    }
  }

  static caf::actor actor_of(const caf::scoped_actor& self) { return caf::actor_cast<caf::actor>(self); }

  void hang_up() {
    if (child_ >= 0)
      ::close(std::exchange(child_, -1));
  }

  void say(const message& msg) {
    std::vector<char> out;
    ASSERT_FALSE(write_frame(out, msg, default_frame_bytes_max));
    say(out);
  }
  void say(const std::vector<char>& out) {
    ASSERT_EQ(::send(child_, out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
  }

  /// What the proxy sent next; empty at end of file.
  std::optional<message> hear() {
    for (;;) {
      if (auto next = reader_.next())
        return next;
      pollfd readable{child_, POLLIN, 0};
      std::array<std::byte, 4096> buffer;
      if (::poll(&readable, 1, 10'000) <= 0)
        return std::nullopt;
      const auto n = ::read(child_, buffer.data(), buffer.size());
      if (n <= 0)
        return std::nullopt;
      reader_.feed(std::span{buffer}.first(static_cast<std::size_t>(n)));
    }
  }

  /// Whether the proxy closes its descriptor in time.
  bool closes_its_end() const {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (::fcntl(link_, F_GETFD) >= 0) {
      if (std::chrono::steady_clock::now() > until)
        return false;
      std::this_thread::yield();
    }
    return true;
  }

  /// The next event of type T from the proxy.
  template <class T>
  std::optional<T> event() {
    std::optional<T> result;
    self_->receive([&](const T& x) { result = x; }, caf::after(deadline) >> [] { ADD_FAILURE() << "no event came"; });
    return result;
  }

  void make_ready() {
    say(hello{protocol_version, binary_codec, {{"echo", "string -> string"}}});
    EXPECT_EQ(event<node_hello>()->node, 7U);
    EXPECT_TRUE(hear()); // the proxy's hello
  }

  void assign(call_id id) {
    assign_calls msg;
    msg.calls.push_back({id, "echo", default_param, bytes(3)});
    caf::anon_send(proxy_, std::move(msg));
  }

  node_gone gone() {
    auto result = event<node_gone>();
    return result ? *result : node_gone{};
  }

  void exit(exit_status status) { caf::anon_send(proxy_, process_exited{7, status}); }

  actor_system_config config_;
  caf::actor_system system_{config_};
  caf::scoped_actor self_{system_};
  caf::actor proxy_;
  frame_reader reader_;
  int link_ = -1; // the proxy's end
  int child_ = -1;
};

} // namespace cluster_channel::test
