// A pool of real children of Node, with the unmodified package ts-event-bus; skips the test where these are missing.
#pragma once

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events.hpp"
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace node_test {

using namespace cluster_channel;
using namespace std::chrono_literals;

/// Longest time a test waits for anything.
inline constexpr auto deadline = 60s;

/// What keeps these tests from running here; empty: nothing.
inline std::string missing() {
  if (std::system("command -v node > /dev/null") != 0)
    return "there is no node: install Node.js 20";
  if (!std::filesystem::exists(CLUSTER_CHANNEL_NODE_MODULES "/ts-event-bus"))
    return "there is no " CLUSTER_CHANNEL_NODE_MODULES "/ts-event-bus: run npm ci in examples/node_interop";
  return {};
}

/// Each test runs with every major version of the package.
class NodeTest : public ::testing::TestWithParam<const char*> {
protected:
  void SetUp() override {
    if (const auto what = missing(); !what.empty())
      GTEST_SKIP() << what;
  }

  static master_options node_options() {
    master_options options;
    options.executable = "node";
    options.args = {CLUSTER_CHANNEL_NODE_TESTS "/child.js"};
    options.environment.set = {{"NODE_PATH", CLUSTER_CHANNEL_NODE_MODULES}, {"TS_EVENT_BUS", GetParam()}};
    options.codec = message_codec::json;
    options.nodes = 1;
    options.timeout = 60s;
    return options;
  }

  event_bus<events>& make(master_options options = node_options()) {
    channel = std::make_unique<master_channel>(std::move(options));
    bus = std::make_unique<event_bus<events>>(*channel);
    return *bus;
  }

  template <class T>
  static failure failed(call<T>&& pending) {
    auto result = pending.get(deadline);
    EXPECT_FALSE(result) << "the call was answered";
    return result ? failure{} : failure_of(result.error());
  }

  std::unique_ptr<master_channel> channel;
  std::unique_ptr<event_bus<events>> bus;
};

/// `expected` of the response; the test fails if there is none.
template <class T>
T value_of(call<T>&& pending) {
  auto result = pending.get(deadline);
  EXPECT_TRUE(result) << describe(result.error());
  return result ? std::move(*result) : T{};
}

inline bool succeeded(call<void>&& pending) {
  const auto result = pending.get(deadline);
  EXPECT_TRUE(result) << describe(result.error());
  return static_cast<bool>(result);
}

} // namespace node_test

#define CLUSTER_CHANNEL_EACH_VERSION(suite)                                                                            \
  INSTANTIATE_TEST_SUITE_P(Major, suite, ::testing::Values("ts-event-bus", "ts-event-bus-2"), [](const auto& x) {      \
    return std::string{x.param} == "ts-event-bus" ? std::string{"4"} : std::string{"2"};                               \
  })
