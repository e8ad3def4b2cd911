// Hostile children: real router, supervisor and proxies over real sockets, whose far ends send garbage.

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/actors/router.hpp>
#include <cluster_channel/actors/supervisor.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/router_target.hpp>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "echo_pool.hpp"
#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <sys/socket.h>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;

/// What one hostile child does.
struct attack {
  bool says_hello = false; ///< a valid hello first, and the garbage only after the call has come
  std::vector<char> garbage;
  bool stays_connected = false; ///< keeps its end open after the garbage
};

/// Launches "processes" that are threads of this one, at the far end of a real socket.
class hostile_host final : public process_host {
public:
  hostile_host(caf::actor supervisor, std::function<attack()> next)
      : supervisor_{std::move(supervisor)}, next_{std::move(next)} {}

  ~hostile_host() override {
    for (auto& [node, child] : children_)
      ::shutdown(child.fd, SHUT_RDWR);
    for (auto& [node, child] : children_) {
      child.thread.join();
      ::close(child.fd);
    }
  }

  void launch(node_id node, std::size_t) override {
    std::lock_guard guard{mutex_};
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
      std::abort();
    caf::anon_send(supervisor_, process_started{node, 1000 + static_cast<std::int32_t>(node), fds[0]});
    auto& child = children_[node];
    child.fd = fds[1];
    child.thread = std::thread{[this, node, fd = fds[1], what = next_()] {
      run(fd, what);
      if (!what.stays_connected)
        end(node, {false, 1});
    }};
  }

  void signal(node_id node, int signo) override { end(node, {true, signo}); }

private:
  struct hostile_child {
    int fd = -1;
    std::thread thread;
    bool ended = false;
  };

  static void run(int fd, const attack& what) {
    if (what.says_hello) {
      std::vector<char> out;
      static_cast<void>(write_frame(out, hello{protocol_version, binary_codec, {}}, default_frame_bytes_max));
      static_cast<void>(::send(fd, out.data(), out.size(), MSG_NOSIGNAL));
      frame_reader reader;
      std::array<std::byte, 4096> buffer;
      for (bool called = false; !called;) {
        const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (n <= 0)
          return;
        reader.feed(std::span{buffer}.first(static_cast<std::size_t>(n)));
        while (auto msg = reader.next())
          called = called || std::holds_alternative<request>(*msg);
      }
    }
    static_cast<void>(::send(fd, what.garbage.data(), what.garbage.size(), MSG_NOSIGNAL));
    if (!what.stays_connected)
      ::shutdown(fd, SHUT_RDWR);
  }

  void end(node_id node, exit_status status) {
    std::lock_guard guard{mutex_};
    if (!std::exchange(children_[node].ended, true))
      caf::anon_send(supervisor_, process_exited{node, status});
  }

  caf::actor supervisor_;
  std::function<attack()> next_;
  std::mutex mutex_;
  std::map<node_id, hostile_child> children_;
};

class Garbage : public ::testing::Test {
protected:
  Garbage() {
    const char* given = std::getenv("CLUSTER_CHANNEL_TEST_SEED");
    seed_ = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    random_.seed(seed_);
  }

  std::vector<char> random_bytes(std::size_t size) {
    std::vector<char> result(size);
    for (auto& x : result)
      x = static_cast<char>(random_());
    return result;
  }

  /// A valid frame of a random kind.
  std::vector<char> frame() {
    std::vector<char> out;
    const std::array<message, 4> kinds{message{response{random_(), bytes(20)}},
                                       message{error_message{random_(), {.code = errc::handler_failed, .text = "x"}}},
                                       message{handler_registered{"echo", "p"}},
                                       message{hello{protocol_version, binary_codec, {{"echo", "string -> string"}}}}};
    static_cast<void>(write_frame(out, kinds[random_() % kinds.size()], default_frame_bytes_max));
    return out;
  }

  attack random_attack() {
    attack result;
    result.says_hello = random_() % 2 == 0;
    switch (random_() % 4) {
    case 0:
      result.garbage = random_bytes(1 + random_() % 2000);
      break;
    case 1: // cut in the middle
      result.garbage = frame();
      result.garbage.resize(random_() % result.garbage.size());
      break;
    case 2: // longer than allowed
      result.garbage = {'\xff', '\xff', '\xff', static_cast<char>(0x10 + random_() % 0xef), 3};
      result.stays_connected = true;
      break;
    default: // one bit wrong in the length or type
      result.garbage = frame();
      result.garbage[random_() % 5] ^= static_cast<char>(1 << random_() % 8);
    }
    return result;
  }

  std::uint64_t seed_ = 0;
  std::mt19937_64 random_;
};

TEST_F(Garbage, OnAThousandLinksEndsEachInAnErrorAndHarmsNobody) {
  SCOPED_TRACE("CLUSTER_CHANNEL_TEST_SEED=" + std::to_string(seed_));
  actor_system_config config;
  caf::actor_system system{config};
  const auto descriptors = open_descriptors();
  pool_options options;
  options.executable = "hostile child";
  options.nodes = 1;
  options.timeout = no_timeout;
  options.disconnect_grace = 20ms;
  options.backoff.failures_max = 1;
  const auto router = spawn_router(system, options);
  auto settings = std::make_shared<link_settings>();
  settings->options = options;
  settings->greeting = {protocol_version, binary_codec, {}};
  const auto supervisor = spawn_supervisor(
      system, options, router, [&](const caf::actor& its_supervisor, const process_started& process, std::size_t) {
        return spawn_child_proxy(system, its_supervisor, router, process, settings);
      });
  auto host = std::make_shared<hostile_host>(supervisor, [this] { return random_attack(); });
  caf::anon_send(supervisor, attach_host{host});

  caf::scoped_actor self{system};
  std::map<errc, int> ends;
  for (int i = 0; i < 1000; ++i)
    self->request(router, deadline, slot_request{"echo", default_param, encode(std::string{"x"})})
        .receive([&](const slot_response&) { ++ends[errc::none]; }, [&](caf::error& err) { ++ends[code_of(err)]; });
  int errors = 0;
  for (const auto& [code, count] : ends) {
    std::cout << count << " " << to_string(code) << "\n";
    errors += count;
    EXPECT_TRUE(code == errc::protocol_error || code == errc::protocol_mismatch || code == errc::node_died ||
                code == errc::launch_failed || code == errc::bad_payload)
        << to_string(code);
  }
  EXPECT_EQ(errors, 1000);

  self->request(supervisor, caf::infinite, close_pool{0ms})
      .receive([](pool_closed) {}, [](caf::error&) { FAIL() << "the pool must close"; });
  caf::anon_send_exit(supervisor, caf::exit_reason::user_shutdown);
  self->wait_for(supervisor, router);
  host.reset();
  EXPECT_TRUE(eventually([&] { return open_descriptors() <= descriptors; }));
}

} // namespace

} // namespace cluster_channel
