// A pool of cluster_channel with the bus of the benchmark.
#pragma once

#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include "child/events.hpp"
#include <atomic>
#include <cstddef>
#include <semaphore>
#include <string>

namespace bench {

/// Of one node, with limits that no case reaches unless it wants to.
cluster_channel::master_options pool_of_one(std::size_t calls_per_node = 1);

struct pool {
  explicit pool(cluster_channel::master_options options) : channel{std::move(options)}, bus{channel} {}

  cluster_channel::master_channel channel;
  cluster_channel::event_bus<events> bus;
};

/// Calls of which a bounded number is unanswered; one thread makes them, those of the library end them.
class call_window {
public:
  call_window(const events& bus, const std::string& text, std::size_t in_flight);

  /// Waits for room and calls.
  void call(const cluster_channel::call_options& options = {});

  /// Waits until all are answered. @throws if a call failed.
  void drain();

private:
  const events& bus_;
  const std::string& text_;
  std::size_t in_flight_;
  std::counting_semaphore<> room_;
  std::atomic<std::size_t> failed_{0};
};

} // namespace bench
