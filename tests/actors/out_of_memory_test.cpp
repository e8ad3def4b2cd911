// Memory that runs out at any one moment of a call's way through the proxy of its node: a program of its own, as it
// replaces operator new.

#include <gtest/gtest.h>

#include "child_proxy_fixture.hpp"
#include <atomic>
#include <cstdlib>
#include <new>
#include <pthread.h>
#include <string_view>

namespace {

/// Counts down the allocations of CAF's I/O thread; the one that reaches 0 fails.
std::atomic<int> allocations_left{0};

bool is_event_loop() noexcept {
  thread_local int answer = -1;
  if (answer < 0) {
    char name[16] = "";
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    answer = std::string_view{name} == "caf.multiplexer" ? 1 : 0;
  }
  return answer == 1;
}

} // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left.load(std::memory_order_relaxed) > 0 && is_event_loop() && --allocations_left == 0)
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

using OutOfMemory = test::ChildProxy;

TEST_F(OutOfMemory, AtAnyAllocationEndsTheCallOnceWithItsAnswerOrTheNode) {
#ifdef CLUSTER_CHANNEL_UNDER_TSAN
  GTEST_SKIP() << "ThreadSanitizer has its own operator new";
#endif
  int answered = 0;
  for (int n = 1; n < 300; ++n) {
    start();
    self_->monitor(proxy_);
    make_ready();
    allocations_left = n;
    assign(17);
    say(response{17, bytes(1000)}); // ahead of its request, lest the test waits for one that is lost
    say(request{1, "log", default_param, bytes(100)});
    bool ended = false;
    bool down = false;
    while (!ended)
      self_->receive([&](const calls_finished& x) { answered += x.calls.size() == 1 && x.calls[0].call == 17 ? 1 : 0; },
                     [&](const child_call&) { ended = true; },
                     [&](const node_gone& x) {
                       EXPECT_EQ(x.cause.code, errc::node_died) << describe(make_error(x.cause));
                       ended = true;
                     },
                     [&](const caf::down_msg&) { ended = down = true; },
                     caf::after(test::deadline) >>
                         [&] {
                           ADD_FAILURE() << "nothing ended at allocation " << n;
                           ended = true;
                         });
    const auto left = allocations_left.exchange(0);
    caf::anon_send_exit(proxy_, caf::exit_reason::kill);
    while (!down)
      self_->receive([](const calls_finished&) {}, [](const child_call&) {}, [](const node_gone&) {},
                     [&](const caf::down_msg&) { down = true; });
    hang_up();
    if (left > 0)
      break; // the whole way has fewer
  }
  EXPECT_GT(answered, 1);
}

} // namespace

} // namespace cluster_channel
