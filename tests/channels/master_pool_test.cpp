// The pool behind a master_channel, over a scripted process host: how it is made, refused and ended. Real actors and
// threads, no processes.

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_pool.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/logger.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_events.hpp"
#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

namespace cluster_channel::detail {

namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// What the tests tell a host to do.
struct host_script {
  std::function<void(node_id, const process_listener&)> on_launch = [](node_id, const process_listener&) {};
  std::function<void()> on_end = [] {};
  process_listener listener;
};

class scripted_host final : public process_host {
public:
  explicit scripted_host(std::shared_ptr<host_script> script) : script_{std::move(script)} {}
  scripted_host(const scripted_host&) = delete;
  scripted_host& operator=(const scripted_host&) = delete;
  ~scripted_host() override { script_->on_end(); }

  void launch(node_id node, std::size_t) override { script_->on_launch(node, script_->listener); }
  void signal(node_id, int) override {}

private:
  const std::shared_ptr<host_script> script_;
};

/// A bus connects to a pool through this, as through a master_channel.
class pool_channel final : public channel {
public:
  explicit pool_channel(master_pool& pool) : pool_{pool} {}
  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override {
    return pool_.connect(std::move(listener));
  }

private:
  master_pool& pool_;
};

pool_options quick_options() {
  return {
      .executable = "none", .nodes = 1, .timeout = no_timeout, .exit_grace = 1ms, .term_grace = 1ms, .kill_grace = 1ms};
}

class MasterPool : public ::testing::Test {
public:
  std::unique_ptr<master_pool> make(caf::actor_system* in = nullptr, pool_options options = quick_options()) {
    return master_pool::make(in, std::move(options), [this](const auto&, process_listener listener) {
      script->listener = std::move(listener);
      return std::make_shared<scripted_host>(script);
    });
  }

  const std::shared_ptr<host_script> script = std::make_shared<host_script>();
};

/// Runs `f` on a thread of its own, and looks what CAF left there.
template <class F>
void expect_no_traces(F f) {
  std::thread{[&] {
    f();
    EXPECT_EQ(caf::logger::current_logger(), nullptr);
  }}.join();
}

TEST_F(MasterPool, AHostThatCannotBeMadeLeavesNoActorBehind) {
  actor_system_config config;
  caf::actor_system system{config}; // whose destructor would wait for them
  const auto running = system.registry().running();
  const auto fails = [](const auto&, const auto&) -> std::shared_ptr<process_host> {
    throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
  };
  EXPECT_THROW(master_pool::make(&system, quick_options(), fails), std::system_error);
  EXPECT_EQ(system.registry().running(), running);
  EXPECT_THROW(master_pool::make(nullptr, quick_options(), fails), std::system_error);
}

TEST_F(MasterPool, ASystemWithoutItsIoModuleIsRefused) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  EXPECT_THROW(make(&system), std::invalid_argument);
}

TEST_F(MasterPool, LeavesNoTracesOnTheThreadsOfUsers) {
  actor_system_config config;
  caf::actor_system system{config};
  for (auto* in : {static_cast<caf::actor_system*>(nullptr), &system}) {
    std::unique_ptr<master_pool> pool;
    std::unique_ptr<event_bus<test_events>> bus;
    expect_no_traces([&] { pool = make(in); });
    expect_no_traces([&] {
      pool_channel link{*pool};
      bus = std::make_unique<event_bus<test_events>>(link);
      bus->log.on([](const std::string&) {});
    });
    expect_no_traces([&] { pool->stats(); });
    expect_no_traces([&] { pool->close(0ms); });
    expect_no_traces([&] { master_pool::end(std::move(pool)); });
    expect_no_traces([&] { bus = nullptr; });
  }
}

TEST_F(MasterPool, EndsAlthoughTheThreadThatEndsItSpawnedActorsInItsSystem) {
  auto pool = make();
  pool->system().spawn([](caf::event_based_actor*) {});
  { caf::scoped_actor self{pool->system()}; }
  master_pool::end(std::move(pool));
}

// -- ends of its actors -------------------------------------------------------

class MasterPoolWhose : public MasterPool, public ::testing::WithParamInterface<const char*> {};

TEST_P(MasterPoolWhose, ActorEndsEndsEveryCallAtOnce) {
  auto pool = make();
  pool_channel link{*pool};
  event_bus<test_events> bus{link};
  auto before = bus.echo("before");
  const auto& which = std::string{GetParam()} == "Router" ? pool->router() : pool->supervisor();
  caf::anon_send_exit(which, caf::exit_reason::out_of_workers);
  EXPECT_EQ(code_of(before.get().error()), errc::channel_closed);
  EXPECT_EQ(pool->stats().ready_nodes, 0U);
  EXPECT_TRUE(pool->close(1h).left_behind.empty());
  const auto later = bus.echo("later").get();
  EXPECT_EQ(code_of(later.error()), errc::channel_closed);
  EXPECT_THAT(describe(later.error()), HasSubstr("out_of_workers"));
  master_pool::end(std::move(pool));
}

INSTANTIATE_TEST_SUITE_P(All, MasterPoolWhose, ::testing::Values("Router", "Supervisor"),
                         [](const auto& each) { return std::string{each.param}; });

TEST_F(MasterPool, ALinkedActorThatQuitsEndsItInTheSameWay) {
  auto pool = make();
  pool_channel link{*pool};
  event_bus<test_events> bus{link};
  pool->system().spawn([&](caf::event_based_actor* self) {
    self->link_to(pool->router());
    self->quit(caf::exit_reason::out_of_workers);
  });
  while (code_of(bus.echo("x").get(1ms).error()) != errc::channel_closed)
    ;
  master_pool::end(std::move(pool));
}

TEST_F(MasterPool, ClosingItEndsItsActors) {
  actor_system_config config;
  caf::actor_system system{config};
  auto pool = make(&system);
  caf::scoped_actor self{system};
  self->monitor(pool->router());
  self->monitor(pool->supervisor());
  pool->close(0ms);
  for (int i = 0; i < 2; ++i)
    self->receive([](const caf::down_msg& down) { EXPECT_EQ(down.reason, caf::exit_reason::user_shutdown); });
  EXPECT_THAT(describe([&] {
                pool_channel link{*pool};
                event_bus<test_events> bus{link};
                return bus.echo("x").get().error();
              }()),
              HasSubstr("the channel is closed"));
  master_pool::end(std::move(pool));
}

TEST_F(MasterPool, RefusesToWaitForItselfOnTheThreadOfTheEventLoop) {
  auto pool = make();
  pool_channel link{*pool};
  event_bus<test_events> bus{link};
  std::promise<std::pair<std::string, std::string>> texts;
  const auto text_of = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const std::logic_error& ex) {
      return ex.what();
    }
    return "";
  };
  bus.echo("x").on_result([&](const auto&) {
    texts.set_value({text_of([&] { pool->close(0ms); }), text_of([&] { pool->stats(); })});
  });
  caf::anon_send_exit(pool->router(), caf::exit_reason::out_of_workers); // ends the call, on that thread
  const auto [close, stats] = texts.get_future().get();
  EXPECT_THAT(close, HasSubstr("close: called on the thread of the event loop"));
  EXPECT_THAT(stats, HasSubstr("stats: called on the thread of the event loop"));
  master_pool::end(std::move(pool));
}

// -- what does not end --------------------------------------------------------

TEST_F(MasterPool, ReportsALaunchThatDoesNotEnd) {
  auto options = quick_options();
  options.min_nodes = 1;
  std::promise<void> launched;
  script->on_launch = [&](node_id, const process_listener&) { launched.set_value(); };
  auto pool = make(nullptr, std::move(options));
  launched.get_future().wait();
  const auto report = pool->close(0ms);
  ASSERT_EQ(report.left_behind.size(), 1U);
  EXPECT_EQ(report.left_behind[0].node, 1U);
  EXPECT_EQ(report.left_behind[0].pid, 0);
  master_pool::end(std::move(pool));
}

TEST_F(MasterPool, ClosesTheLinkOfAProcessThatStartsWhenTheSupervisorHasEnded) {
  auto pool = make();
  pool->close(0ms);
  std::array<int, 2> link{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link.data()), 0);
  script->listener(process_started{1, 4711, link[0]});
  EXPECT_EQ(::fcntl(link[0], F_GETFD), -1) << "closed, before anything else could have its number";
  char byte = 0;
  EXPECT_EQ(::read(link[1], &byte, 1), 0);
  ::close(link[1]);
  master_pool::end(std::move(pool));
}

TEST_F(MasterPool, EndsAlthoughItsHostDoesNot) {
  const auto let_go = std::make_shared<std::promise<void>>();
  auto gone = std::make_shared<std::promise<void>>();
  script->on_end = [end = let_go->get_future().share(), gone] {
    end.wait();
    gone->set_value();
  };
  const auto begin = std::chrono::steady_clock::now();
  ::testing::internal::CaptureStderr();
  master_pool::end(make());
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("left behind"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  let_go->set_value();
  gone->get_future().wait(); // the thread that was left is done with it
}

} // namespace

} // namespace cluster_channel::detail
