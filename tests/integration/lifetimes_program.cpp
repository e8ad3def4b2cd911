// A program for lifetimes_test.cpp: makes, uses and destroys a pool in the way that CLUSTER_CHANNEL_TEST_CASE names.
//
// It is its own child. It ends with code 0 if all went as it should, and with another one and a text if not. A case
// that hangs is ended by the test.

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/local_channel.hpp>
#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/channels/timers.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/logger.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "lifetimes_events.hpp"
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace {

using namespace cluster_channel;
using namespace std::chrono_literals;

using lifetimes::events;

void serve_echo(event_bus<events>& bus) {
  bus.echo.on([&bus](const std::string& text) {
    if (text == "note")
      std::ignore = bus.note("noted");
    if (text == "print")
      std::cout << "printed" << std::endl;
    return text;
  });
}

const char* wanted_case() {
  const char* name = std::getenv("CLUSTER_CHANNEL_TEST_CASE");
  return name ? name : "";
}

master_options options() {
  master_options result;
  result.executable = this_executable();
  result.nodes = 1;
  return result;
}

struct pool {
  explicit pool(master_options with = options()) : channel{std::make_unique<master_channel>(std::move(with))} {
    bus = std::make_unique<event_bus<events>>(*channel);
  }
  pool(caf::actor_system& system, master_options with) {
    channel = std::make_unique<master_channel>(system, std::move(with));
    bus = std::make_unique<event_bus<events>>(*channel);
  }

  std::unique_ptr<master_channel> channel;
  std::unique_ptr<event_bus<events>> bus;
};

[[noreturn]] void fail(const std::string& text) {
  std::cerr << "failed: " << text << std::endl;
  std::_Exit(EXIT_FAILURE);
}

void expect(bool condition, const std::string& text) {
  if (!condition)
    fail(text);
}

void expect_echo(pool& x) {
  const auto answer = x.bus->echo("x").get(20s);
  expect(answer == std::string{"x"}, "no answer: " + (answer ? *answer : describe(answer.error())));
}

bool has_children() {
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream list{task.path() / "children"};
    if (pid_t pid = 0; list >> pid)
      return true;
  }
  return false;
}

/// Waits until what a thread of the library does in the end is done.
void expect_no_children() {
  while (has_children())
    std::this_thread::sleep_for(1ms);
}

/// A thread that does something, and lives on until this object is destroyed.
class living_thread {
public:
  explicit living_thread(const std::function<void()>& f) {
    std::promise<void> done;
    thread_ = std::thread{[&, end = end_.get_future()]() mutable {
      f();
      expect(caf::logger::current_logger() == nullptr, "a pointer of CAF's is left on the thread");
      done.set_value();
      end.wait();
    }};
    done.get_future().wait();
  }
  ~living_thread() {
    end_.set_value();
    thread_.join();
  }

private:
  std::promise<void> end_;
  std::thread thread_;
};

// -- where pools live ---------------------------------------------------------

const auto global_pool = !is_child() && wanted_case() == std::string{"AGlobal"} ? std::make_unique<pool>() : nullptr;

pool& static_pool() {
  static pool result;
  return result;
}

void a_global() {
  expect_echo(*global_pool);
}

void a_function_local_static() {
  expect_echo(static_pool());
}

void a_static_whose_system_main_uses() {
  caf::scoped_actor self{static_pool().channel->system()};
  expect_echo(static_pool());
}

void made_on_one_thread_and_destroyed_on_another() {
  std::unique_ptr<pool> x;
  const living_thread a{[&] {
    x = std::make_unique<pool>();
    expect_echo(*x);
  }};
  std::thread{[&] { x = nullptr; }}.join();
}

void used_by_a_thread_that_lives_on() {
  auto x = std::make_unique<pool>();
  const living_thread a{[&] {
    expect_echo(*x);
    expect(x->channel->stats().ready_nodes == 1, "one node is ready");
  }};
  const living_thread b{[&] { x->channel->close(); }};
  expect(x->channel->stats().ready_nodes == 0, "nothing is ready in a closed pool");
  x = nullptr;
}

void in_a_system_of_the_users() {
  actor_system_config config;
  auto system = std::make_unique<caf::actor_system>(config);
  std::unique_ptr<pool> x;
  const living_thread a{[&] {
    x = std::make_unique<pool>(*system, options());
    expect_echo(*x);
    x->channel->stats();
    x->channel->close();
  }};
  const living_thread b{[&] { x = nullptr; }};
  const living_thread c{[&] {
    const auto timers = make_actor_timers(*system);
    event_bus<events> bus{bus_options{.timers = timers}};
    const auto handle = bus.echo.as_actor(*system);
    event_bus<events> served;
    served.echo.on(handle);
    const local_channel_pair pair{*system};
  }};
  system = nullptr;
}

// -- where they end -----------------------------------------------------------

/// Runs `f` in a handler of the master's, of an event.
void in_a_handler(pool& x, const std::function<void()>& f) {
  std::promise<void> done;
  x.bus->note.on([&](const std::string&) {
    f();
    done.set_value();
  });
  const auto call = x.bus->echo("note");
  done.get_future().wait();
}

/// Runs `f` as a continuation of a call, on the thread of the event loop.
void in_on_result(pool& x, const std::function<void()>& f) {
  std::promise<void> done;
  x.bus->echo("x").on_result([&](const auto&) {
    f();
    done.set_value();
  });
  done.get_future().wait();
}

/// Runs `f` as a continuation of a call, in an actor of `system`.
void in_then(pool& x, caf::actor_system& system, const std::function<void()>& f) {
  std::promise<void> done;
  std::thread{[&] { // whose pointer of CAF's goes with it
    system.spawn([&](caf::event_based_actor* self) {
      x.bus->echo("x").then(
          self,
          [&](const std::string&) {
            f();
            done.set_value();
          },
          [](const caf::error& err) { fail(describe(err)); });
    });
  }}
      .join();
  done.get_future().wait();
}

void destroyed_in_a_handler() {
  auto x = std::make_unique<pool>();
  in_a_handler(*x, [&] { x->channel = nullptr; });
  expect_no_children();
}

void destroyed_with_its_bus_in_a_handler() {
  auto x = std::make_unique<pool>();
  in_a_handler(*x, [&] {
    x->bus = nullptr;
    x->channel = nullptr;
  });
  expect_no_children();
}

void destroyed_in_on_result() {
  auto x = std::make_unique<pool>();
  in_on_result(*x, [&] { x->channel = nullptr; });
  expect_no_children();
}

void destroyed_in_then() {
  auto x = std::make_unique<pool>();
  in_then(*x, x->channel->system(), [&] { x->channel = nullptr; });
  expect_no_children();
}

void destroyed_where_output_comes() {
  std::unique_ptr<pool> x;
  std::promise<void> done;
  bool destroyed = false;
  auto with = options();
  with.on_output = [&](const output_line&) {
    if (std::exchange(destroyed, true))
      return;
    x->channel = nullptr;
    done.set_value();
  };
  x = std::make_unique<pool>(std::move(with));
  const auto call = x->bus->echo("print");
  done.get_future().wait();
  expect_no_children();
}

void destroyed_in_a_system_of_the_users() {
  for (int i = 0; i < 3; ++i) {
    actor_system_config config;
    config.set("scheduler.max-threads", 2);
    caf::actor_system system{config};
    auto x = std::make_unique<pool>(system, options());
    const auto destroy = [&] { x->channel = nullptr; };
    if (i == 0)
      in_a_handler(*x, destroy);
    else if (i == 1)
      in_on_result(*x, destroy);
    else
      in_then(*x, system, destroy);
    x = nullptr;
  }
  expect_no_children();
}

void closed_in_a_handler() {
  pool x;
  const auto begin = std::chrono::steady_clock::now();
  in_a_handler(x, [&] { x.channel->close(); });
  expect(std::chrono::steady_clock::now() - begin < 4s, "the call had its answer: nothing was left to drain");
  expect_no_children();
}

void closed_in_on_result() {
  pool x;
  in_on_result(x, [&] { x.channel->close(); }); // ends the program
}

void exit_in_a_handler() {
  in_a_handler(static_pool(), [] { std::exit(EXIT_SUCCESS); });
}

void exit_in_on_result() {
  in_on_result(static_pool(), [] { std::exit(EXIT_SUCCESS); });
}

void exit_in_then() {
  in_then(static_pool(), static_pool().channel->system(), [] { std::exit(EXIT_SUCCESS); });
}

// -- forked copies ------------------------------------------------------------

bool is_a_copy = false;

/// Runs `f` in a forked copy, and waits for its end.
void in_a_copy(const std::function<void()>& f) {
  const auto pid = ::fork();
  if (pid == 0) {
    is_a_copy = true;
    f();
    std::exit(EXIT_SUCCESS);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the copy failed");
}

void a_forked_copy_exits() {
  expect_echo(static_pool());
  in_a_copy([] {});
  expect_echo(static_pool());
}

void a_forked_copy_uses_what_it_has_not() {
  auto& x = static_pool();
  expect_echo(x);
  x.bus->note.on([](const std::string&) { std::this_thread::sleep_for(300ms); });
  auto under_way = x.bus->echo("note");
  in_a_copy([&] {
    const auto later = x.bus->echo("x").get();
    expect(!later && code_of(later.error()) == errc::channel_closed, "a call in the copy fails");
    const auto before = under_way.get();
    expect(!before && code_of(before.error()) == errc::channel_closed, "a call from before fails in the copy");
    expect(x.channel->stats().ready_nodes == 0, "the copy has no nodes");
    x.channel->close();
    x.channel = nullptr;
    pool own; // a copy that makes a pool of its own has one
    expect_echo(own);
  });
  expect(under_way.get(20s).engaged(), "the original goes on");
  expect_echo(x);
}

void a_child_forks() {
  // See main: the child of this case forks a copy before it serves, and one in each handler.
  pool x;
  expect_echo(x);
  expect_echo(x);
}

// -- without threads ----------------------------------------------------------

/// Lets this process have as many threads as `limit` for its user.
void limit_threads(rlim_t limit) {
  rlimit both{};
  ::getrlimit(RLIMIT_NPROC, &both);
  both.rlim_cur = std::min(limit, both.rlim_max);
  expect(::setrlimit(RLIMIT_NPROC, &both) == 0, "setrlimit");
}

/// Makes pools with ever more threads until one can be made. @returns how many could not.
int until_there_are_enough(const std::function<std::unique_ptr<pool>()>& make) {
  int failures = 0;
  // Below the number of what the user has already all fail; that may be many if the user is not alone.
  for (rlim_t limit = 1; limit < 100'000; ++limit) {
    limit_threads(limit);
    try {
      const auto x = make();
      return failures;
    } catch (const std::system_error& ex) {
      expect(ex.code().value() == EAGAIN, ex.what());
      ++failures;
    }
  }
  fail("there never were enough threads");
}

void without_threads() {
  // Limits do not bind root.
  if (::geteuid() == 0)
    expect(::setuid(54'321) == 0, "setuid");
  expect(until_there_are_enough([] { return std::make_unique<pool>(); }) > 5, "it failed at first");
  limit_threads(RLIM_INFINITY);
  actor_system_config config;
  config.set("scheduler.max-threads", 2);
  auto system = std::make_unique<caf::actor_system>(config);
  expect(until_there_are_enough([&] { return std::make_unique<pool>(*system, options()); }) > 3, "it failed at first");
  limit_threads(RLIM_INFINITY);
  system = nullptr; // no actor is left in it
}

const std::map<std::string, void (*)()> cases{
    {"AGlobal", a_global},
    {"AFunctionLocalStatic", a_function_local_static},
    {"AStaticWhoseSystemMainUses", a_static_whose_system_main_uses},
    {"MadeOnOneThreadAndDestroyedOnAnother", made_on_one_thread_and_destroyed_on_another},
    {"UsedByAThreadThatLivesOn", used_by_a_thread_that_lives_on},
    {"InASystemOfTheUsers", in_a_system_of_the_users},
    {"DestroyedInAHandler", destroyed_in_a_handler},
    {"DestroyedWithItsBusInAHandler", destroyed_with_its_bus_in_a_handler},
    {"DestroyedInOnResult", destroyed_in_on_result},
    {"DestroyedInThen", destroyed_in_then},
    {"DestroyedWhereOutputComes", destroyed_where_output_comes},
    {"DestroyedInASystemOfTheUsers", destroyed_in_a_system_of_the_users},
    {"ClosedInAHandler", closed_in_a_handler},
    {"ClosedInOnResult", closed_in_on_result},
    {"ExitInAHandler", exit_in_a_handler},
    {"ExitInOnResult", exit_in_on_result},
    {"ExitInThen", exit_in_then},
    {"AForkedCopyExits", a_forked_copy_exits},
    {"AForkedCopyUsesWhatItHasNot", a_forked_copy_uses_what_it_has_not},
    {"AChildForks", a_child_forks},
    {"WithoutThreads", without_threads},
};

/// A child that forks: its copies end in `exit`, with the child's channel as a static object.
int serve_and_fork() {
  static child_channel channel;
  static event_bus<events> bus{channel};
  bus.echo.on([](const std::string& text) {
    in_a_copy([] {});
    return text;
  });
  in_a_copy([] {});
  return channel.run();
}

} // namespace

/// LeakSanitizer asks this. A forked copy leaves alone what belongs to the threads that it has not, on purpose.
extern "C" int __lsan_is_turned_off() { // NOLINT(bugprone-reserved-identifier): its name
  return is_a_copy ? 1 : 0;
}

int main() {
  const std::string name = wanted_case();
  if (is_child())
    return name == "AChildForks" ? serve_and_fork() : serve<events>(serve_echo);
  const auto which = cases.find(name);
  if (which == cases.end())
    fail("no case " + name);
  which->second();
}
