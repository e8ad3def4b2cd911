// Calls of a whole range, over a local bus and a pool in virtual time.

#include <cluster_channel/tests/test_kit.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_events.hpp"
#include <numeric>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

/// "0", "1", … made as they are read; endless without a count.
struct texts {
  struct iterator {
    int at = 0;
    std::string operator*() const { return std::to_string(at); }
    iterator& operator++() {
      ++at;
      return *this;
    }
    friend bool operator==(const iterator& x, const iterator& y) { return x.at == y.at; }
  };
  explicit texts(int its_count = -1) : count{its_count} {}
  iterator begin() const { return {0}; }
  iterator end() const { return {count}; }
  int count;
};

// -- a local bus: every call ends within it -------------------------------------

struct local_bus {
  local_bus() {
    bus.echo.on([this](const std::string& text) {
      ++calls;
      if (text == fails)
        throw std::runtime_error("no");
      return text;
    });
  }
  std::string fails;
  int calls = 0;
  event_bus<test_events> bus;
};

TEST(CallMap, YieldsTheAnswersOfARange) {
  local_bus local;
  std::vector<std::string> answers;
  for (auto& [index, answer] : local.bus.echo.map(texts(1000), {.window = 7})) {
    EXPECT_EQ(index, answers.size());
    answers.push_back(*answer);
  }
  EXPECT_THAT(answers, SizeIs(1000));
  EXPECT_EQ(answers.back(), "999");
}

TEST(CallMap, OfAnEmptyRangeIsEmpty) {
  local_bus local;
  for (auto& each : local.bus.echo.map(std::vector<std::string>{}))
    FAIL() << each.index;
  EXPECT_EQ(local.calls, 0);
}

TEST(CallMap, ReadsAnEndlessRangeOnlyAsFarAsItsWindow) {
  local_bus local;
  const texts endless;
  int taken = 0;
  for (auto& each : local.bus.echo.map(endless, {.window = 10})) {
    EXPECT_TRUE(each.answer);
    if (++taken == 5)
      break;
  }
  EXPECT_LE(local.calls, 20);
}

TEST(CallMap, CollectsFailuresLikeAnswers) {
  local_bus local;
  local.fails = "3";
  std::vector<bool> ok;
  for (auto& each : local.bus.echo.map(texts(6)))
    ok.push_back(static_cast<bool>(each.answer));
  EXPECT_THAT(ok, ElementsAre(true, true, true, false, true, true));
}

TEST(CallMap, StopsAtTheFirstFailureIfAskedTo) {
  local_bus local;
  local.fails = "3";
  std::size_t count = 0;
  std::optional<caf::error> last;
  for (auto& each : local.bus.echo.map(texts(1000), {.window = 2, .stop_at_failure = true})) {
    ++count;
    last = each.answer ? caf::error{} : each.answer.error();
  }
  EXPECT_EQ(count, 4U);
  EXPECT_TRUE(*last);
  EXPECT_LE(local.calls, 6);
}

TEST(CallMap, TakesAWindowOfZeroForOne) {
  local_bus local;
  std::size_t count = 0;
  for (auto& each : local.bus.echo.map(texts(5), {.window = 0}))
    count += each.answer ? 1 : 0;
  EXPECT_EQ(count, 5U);
}

// -- a pool ----------------------------------------------------------------------

struct scripted_pool {
  scripted_pool() {
    pool.script_all({.answers_after = 10ms});
    pool.child().echo.on([this](const std::string& text) {
      most = std::max(most, pool.stats().waiting_calls + pool.stats().running_calls);
      return text;
    });
  }
  std::size_t most = 0;
  test::pool<test_events> pool{{.nodes = 4}};
};

/// Runs `map(...).then` in an actor. @returns the indices in the order of the answers.
std::vector<std::size_t> mapped_in_actor(test::pool<test_events>& pool, int count, map_options options) {
  std::vector<std::size_t> order;
  bool done = false;
  pool.system().spawn([&](caf::event_based_actor* self) {
    pool.bus()
        .echo.map(texts(count), options)
        .then(
            self,
            [&](std::size_t index, caf::expected<std::string>& answer) {
              EXPECT_EQ(*answer, std::to_string(index));
              order.push_back(index);
            },
            [&] { done = true; });
  });
  pool.advance(10s);
  EXPECT_TRUE(done);
  return order;
}

TEST(CallMap, InsideAnActorYieldsTheAnswersInOrder) {
  scripted_pool x;
  const auto order = mapped_in_actor(x.pool, 100, {.window = 8});
  std::vector<std::size_t> expected(100);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(order, expected);
}

TEST(CallMap, InsideAnActorYieldsAnswersAsTheyComeIfAskedTo) {
  test::pool<test_events> pool{{.nodes = 2}};
  pool.script(1, {.answers_after = 1s}); // the node of the first call
  pool.script(2, {.answers_after = 1ms});
  pool.child().echo.on([](const std::string& text) { return text; });
  const auto order = mapped_in_actor(pool, 20, {.window = 4, .ordered = false});
  EXPECT_THAT(order, SizeIs(20));
  EXPECT_NE(order.front(), 0U) << "the first call takes longest";
}

TEST(CallMap, AnAbandonedOneLetsItsCallsEnd) {
  scripted_pool x;
  { auto unused = x.pool.bus().echo.map(texts(10)); }
  x.pool.system().spawn([&](caf::event_based_actor* self) {
    x.pool.bus().echo.map(texts(10)).then(
        self, [self](std::size_t, caf::expected<std::string>&) { self->quit(); }, [] {});
  });
  x.pool.advance(10s);
  EXPECT_EQ(x.pool.stats().waiting_calls + x.pool.stats().running_calls, 0U);
}

} // namespace

} // namespace cluster_channel
