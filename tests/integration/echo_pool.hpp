// A pool of real echo_child processes, and what tests ask of the machine.
#pragma once

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "events.hpp" // examples/echo
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace cluster_channel {

/// Longest time a test waits for anything.
inline constexpr auto deadline = std::chrono::seconds{30};

inline master_options echo_options() {
  master_options options;
  options.executable = CLUSTER_CHANNEL_ECHO_CHILD;
  options.timeout = no_timeout;
  return options;
}

struct echo_pool {
  explicit echo_pool(master_options options = echo_options()) : channel{std::move(options)}, bus{channel} {}

  master_channel channel;
  event_bus<echo::events> bus;
};

/// Processes whose parent is this one, zombies included.
inline std::set<pid_t> children() {
  std::set<pid_t> result;
  for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream list{task.path() / "children"};
    for (pid_t pid = 0; list >> pid;)
      result.insert(pid);
  }
  return result;
}

inline std::size_t open_descriptors() {
  std::size_t result = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"})
    ++result;
  return result;
}

/// Waits until `condition` holds: for what the operating system tells nobody. @returns whether it held in time.
inline bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// The facts of a call that failed; fails the test if it did not.
template <class T>
failure failed(call<T>&& pending) {
  auto result = pending.get(deadline);
  EXPECT_FALSE(result) << "the call was answered";
  return result ? failure{} : failure_of(result.error());
}

} // namespace cluster_channel
