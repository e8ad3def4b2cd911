// Launches over real processes, when the machine has not enough for all of them.

#include <cluster_channel/actors/pool_options.hpp>

#include "echo_pool.hpp"
#include <optional>
#include <sys/resource.h>

namespace cluster_channel {

namespace {

using namespace std::chrono_literals;

/// Leaves this process about `spare` descriptors to open.
class few_descriptors {
public:
  explicit few_descriptors(std::size_t spare) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit tight{open_descriptors() + spare, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
  }
  few_descriptors(const few_descriptors&) = delete;
  few_descriptors& operator=(const few_descriptors&) = delete;
  ~few_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
  rlimit before_{};
};

/// UBSan opens a pipe to look at the type of an object, once for each type: so once before there are none left.
void see_all_types() {
  auto options = echo_options();
  options.executable = "nope_nope_nope";
  options.min_nodes = 1;
  echo_pool failing{options};
  EXPECT_EQ(failed(failing.bus.echo("x")).code, errc::launch_failed);
  echo_pool pool;
  EXPECT_TRUE(pool.bus.echo("x").get(deadline));
  EXPECT_EQ(pool.channel.stats().ready_nodes, 1U);
}

TEST(Launching, GoesOnWhenThereAreDescriptorsAgain) {
  see_all_types();
  constexpr std::size_t nodes = 16;
  auto options = echo_options();
  options.nodes = options.min_nodes = nodes;
  options.backoff = {.initial = 5ms, .longest = 20ms, .failures_max = 1'000'000};
  std::optional<few_descriptors> few{40};
  echo_pool pool{options};
  EXPECT_TRUE(eventually([&] { return pool.channel.stats().ready_nodes >= 2; }));
  auto stats = pool.channel.stats();
  EXPECT_LT(stats.ready_nodes, nodes);
  EXPECT_EQ(stats.ready_nodes + stats.launching_nodes, nodes);
  few.reset();
  EXPECT_TRUE(eventually([&] { return pool.channel.stats().ready_nodes == nodes; }));
  EXPECT_EQ(pool.channel.stats().launching_nodes, 0U);
}

TEST(Launching, EndsForEveryNodeWhenThePoolGivesUp) {
  see_all_types();
  constexpr std::size_t nodes = 16;
  auto options = echo_options();
  options.nodes = options.min_nodes = nodes;
  options.backoff = {.initial = 1ms, .longest = 1ms, .failures_max = 2};
  const few_descriptors few{40};
  echo_pool pool{options};
  EXPECT_TRUE(eventually([&] { return pool.channel.stats().launching_nodes == 0; }));
  EXPECT_LT(pool.channel.stats().ready_nodes, nodes);
}

} // namespace

} // namespace cluster_channel
