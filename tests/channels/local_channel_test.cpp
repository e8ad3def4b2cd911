// What a pair of local channels promises about its end.
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/local_channel.hpp>
#include <cluster_channel/tests/test_kit.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <gmock/gmock.h>

#include "test_events.hpp"
#include <chrono>
#include <optional>
#include <vector>

namespace cluster_channel {
namespace {

TEST(LocalChannelPair, MayGoWhileItsCouriersAreAtWork) {
  caf::actor_system_config config;
  caf::actor_system system{config};
  for (int round = 0; round < 200; ++round) {
    std::optional<local_channel_pair> pair{std::in_place, system};
    event_bus<test_events> here{pair->first()};
    event_bus<test_events> there{pair->second()};
    there.echo.on([](const std::string& x) { return x; });
    ASSERT_TRUE(here.echo("x").get(std::chrono::seconds{10})); // so none of the calls waits for a handler
    std::vector<call<std::string>> calls;
    for (int i = 0; i < 20; ++i)
      calls.push_back(here.echo("x"));
    pair.reset();
    here.echo.on([](const std::string& x) { return x; }); // announces on a channel that is gone
    for (auto& each : calls) {
      const auto result = each.get(std::chrono::seconds{10});
      if (result)
        EXPECT_EQ(*result, "x");
      else
        EXPECT_EQ(failure_of(result.error()).code, errc::channel_closed);
    }
  }
}

} // namespace
} // namespace cluster_channel
