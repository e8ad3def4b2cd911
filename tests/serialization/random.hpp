// Random tests print their seed and take it back from the environment variable CLUSTER_CHANNEL_TEST_SEED.
#pragma once

#include <cluster_channel/serialization/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace cluster_channel::test {

class random_source {
public:
  random_source() {
    const char* given = std::getenv("CLUSTER_CHANNEL_TEST_SEED");
    seed_ = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    engine_.seed(seed_);
  }

  /// For SCOPED_TRACE.
  std::string trace() const { return "CLUSTER_CHANNEL_TEST_SEED=" + std::to_string(seed_); }

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>{0, limit - 1}(engine_); }

  bytes random_bytes(std::size_t size) {
    bytes result(size);
    for (auto& x : result)
      x = static_cast<std::byte>(below(256));
    return result;
  }

private:
  std::uint64_t seed_ = 0;
  std::mt19937_64 engine_;
};

} // namespace cluster_channel::test
