// Actors that do what ThreadSanitizer must report, and what it must not: see CMakeLists.txt.
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace {

constexpr int hits = 1000;
constexpr int pairs = 8;

struct shared_state {
  int count = 0;
  std::atomic<int> inside{0};
  std::mutex first;
  std::mutex second;
};

/// Waits, without ordering anything, until both actors are at it: so two threads are.
void meet(shared_state& x) {
  x.inside.fetch_add(1, std::memory_order_relaxed);
  while (x.inside.load(std::memory_order_relaxed) < 2)
    std::this_thread::yield();
}

void hit_without_a_lock(shared_state& x) {
  ++x.count;
}

template <caf::spawn_options Options>
void share_a_variable(caf::actor_system& system, const std::shared_ptr<shared_state>& x) {
  const auto racer = [x](caf::event_based_actor* self) -> caf::behavior {
    return {[x, self](int) {
      meet(*x);
      for (int i = 0; i < hits; ++i)
        hit_without_a_lock(*x);
      self->quit();
    }};
  };
  for (int i = 0; i < 2; ++i)
    caf::anon_send(system.spawn<Options>(racer), 1);
}

/// Several pairs of actors, one after the other, for clang's ThreadSanitizer misses about one race in ten: it is silent
/// where it no longer finds the stack of the earlier access.
template <caf::spawn_options Options>
void share_variables(caf::actor_system& system) {
  for (int i = 0; i < pairs; ++i) {
    share_a_variable<Options>(system, std::make_shared<shared_state>());
    system.await_all_actors_done(); // one that waits for its mate keeps a thread of the scheduler
  }
}

void lock_in_both_orders(const std::shared_ptr<shared_state>& x) {
  const auto lock = [](std::mutex& outer, std::mutex& inner) {
    const std::lock_guard outer_guard{outer};
    const std::lock_guard inner_guard{inner};
  };
  lock(x->first, x->second);
  lock(x->second, x->first);
}

/// Two actors write the same variable in turns, and only the messages between them say whose turn it is.
void pass_it_by_message(caf::actor_system& system, const std::shared_ptr<shared_state>& x) {
  const auto player = [x](caf::event_based_actor* self) -> caf::behavior {
    return {[x, self](const caf::actor& other, int turns) {
      hit_without_a_lock(*x);
      if (turns > 0)
        caf::anon_send(other, caf::actor{self}, turns - 1);
      if (turns < 2)
        self->quit();
    }};
  };
  const auto one = system.spawn(player);
  const auto other = system.spawn(player);
  caf::anon_send(one, other, hits);
}

} // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 4);
  caf::actor_system system{config};
  const auto x = std::make_shared<shared_state>();
  if (what == "share_a_variable")
    share_variables<caf::no_spawn_options>(system);
  else if (what == "share_a_detached_variable")
    share_variables<caf::detached>(system);
  else if (what == "lock_in_both_orders")
    lock_in_both_orders(x);
  else if (what == "pass_it_by_message")
    pass_it_by_message(system, x);
  else
    return 2;
  system.await_all_actors_done();
}
