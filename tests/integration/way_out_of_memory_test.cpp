// Memory that runs out at any one moment of a call's way through the master, on whatever thread: a program of its own,
// as it replaces operator new.

#include "echo_pool.hpp"
#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <iostream>
#include <memory>
#include <new>
#include <string_view>

namespace {

/// Counts down the allocations of all threads; the one that reaches 0 fails.
std::atomic<int> allocations_left{0};

/// CAF's own threads end the program if they lack memory: to note on whose behalf they log, to keep a delayed message.
/// There is no way to help that.
bool is_of_cafs_threads(void* caller) noexcept {
  Dl_info who{};
  if (::dladdr(caller, &who) == 0 || !who.dli_sname)
    return false;
  const std::string_view name = who.dli_sname;
  return name.starts_with("_ZN3caf6logger") ||
         name.starts_with("_ZN3caf6detail23thread_safe_actor_clock17run_dispatch");
}

} // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left.load(std::memory_order_relaxed) > 0 && !is_of_cafs_threads(__builtin_return_address(0)) &&
      --allocations_left == 0)
    throw std::bad_alloc{};
  if (void* result = std::malloc(size == 0 ? 1 : size))
    return result;
  throw std::bad_alloc{};
}

// Not inlined, as GCC 12 would see one half of a pair only and warn.
[[gnu::noinline]] void operator delete(void* x) noexcept {
  std::free(x);
}

[[gnu::noinline]] void operator delete(void* x, std::size_t) noexcept {
  std::free(x);
}

/// LeakSanitizer asks this. CAF's event loop keeps a connection for good that it had no memory to watch.
extern "C" int __lsan_is_turned_off() { // NOLINT(bugprone-reserved-identifier): its name
  return 1;
}

namespace cluster_channel {

namespace {

/// How a call ended, counted where it ends.
struct outcome {
  std::atomic<int> ends{0};
  std::atomic<bool> answered{false};
};

/// Makes one call while the `n`th allocation fails. @returns whether all of the call's way needs fewer.
bool call_with(echo_pool& pool, int n, outcome& x) {
  // More than a short string holds, so that each copy is an allocation.
  const std::string text(100, 'x');
  allocations_left = n;
  try {
    pool.bus.echo(text).on_result([&x](caf::expected<std::string>&& result) {
      x.answered = result.engaged();
      ++x.ends;
    });
  } catch (const std::bad_alloc&) {
    ++x.ends; // the caller is told by the exception
  }
  EXPECT_TRUE(eventually([&x] { return x.ends > 0; })) << "nothing ended at allocation " << n;
  return allocations_left.exchange(0) > 0;
}

struct counts {
  int answered = 0;
  int failed = 0;
  int pools_lost = 0;
};

/// Lets each allocation of a call's way fail in turn. `fresh`: each call is the first one of its pool.
counts let_each_fail(bool fresh) {
  counts result;
  std::unique_ptr<echo_pool> pool;
  for (int n = 1; n < 2000; ++n) {
    if (!pool || fresh) {
      auto options = echo_options();
      options.start_timeout = std::chrono::seconds{1}; // of a node whose start went wrong half-way
      pool = std::make_unique<echo_pool>(options);
      if (!fresh && !pool->bus.echo("warm").get(deadline))
        ADD_FAILURE() << "no pool can be made";
    }
    const auto x = std::make_unique<outcome>();
    const auto all = call_with(*pool, n, *x);
    const auto again = pool->bus.echo("again").get(deadline); // never hangs, whatever was lost
    EXPECT_TRUE(again || code_of(again.error()) != errc::timed_out) << "the pool is frozen after allocation " << n;
    EXPECT_EQ(x->ends, 1) << "at allocation " << n;
    ++(x->answered ? result.answered : result.failed);
    if (!again) {
      ++result.pools_lost;
      std::cout << "allocation " << n << " costs the pool: " << describe(again.error()) << '\n';
      pool = nullptr;
    }
    if (all)
      break;
  }
  return result;
}

TEST(WayOutOfMemory, AtAnyAllocationOfACallsWayEndsTheCallOnceAndFreezesNothing) {
#ifdef CLUSTER_CHANNEL_UNDER_TSAN
  GTEST_SKIP() << "ThreadSanitizer has its own operator new";
#endif
  const auto seen = let_each_fail(false);
  EXPECT_GT(seen.answered, 1);
  EXPECT_GT(seen.failed, 5);
  EXPECT_EQ(seen.pools_lost, 0);
}

TEST(WayOutOfMemory, AtAnyAllocationOfALaunchEndsTheCallOnceAndFreezesNothing) {
#ifdef CLUSTER_CHANNEL_UNDER_TSAN
  GTEST_SKIP() << "ThreadSanitizer has its own operator new";
#endif
  const auto seen = let_each_fail(true);
  EXPECT_GT(seen.answered, 1);
  EXPECT_GT(seen.failed, 5);
  EXPECT_EQ(seen.pools_lost, 0);
}

} // namespace

} // namespace cluster_channel
