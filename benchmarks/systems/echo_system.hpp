// What all systems have in common: a master, and a node that answers each message with itself.
#pragma once

#include "measure/processes.hpp"
#include "measure/statistics.hpp"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

namespace bench {

struct echo_setup {
  std::size_t message_bytes = 64;
  std::size_t in_flight = 1; ///< at most so many messages are unanswered at a time
  std::size_t nodes = 1;     ///< 1 for echoes
};

/// A master and its node, running. Used by one thread.
class echo_system {
public:
  echo_system() = default;
  echo_system(const echo_system&) = delete;
  echo_system& operator=(const echo_system&) = delete;
  virtual ~echo_system() = default;

  /// Sends one message and waits for its echo.
  virtual void one() = 0;

  /// Sends `count` messages, at most `in_flight` of them unanswered, and waits for all echoes.
  virtual void many(std::size_t count, std::size_t in_flight) = 0;

  /// Sends `count` messages and waits for nothing; `collect` waits for their echoes. Only up to `at_once_max`.
  virtual void issue(std::size_t) { throw std::logic_error("cannot issue at once"); }
  virtual void collect() {}

  // What is timed. A system that runs in a process of its own tells what it measured there.
  virtual latency time_one(std::size_t count) {
    return latency_of(count, [this] { one(); });
  }

  /// Seconds.
  virtual double time_many(std::size_t count, std::size_t in_flight) {
    return timed([&] { many(count, in_flight); });
  }

  /// Seconds for `count` calls that work for `us` microseconds of CPU time each, made at once. Only if `spins`.
  virtual double time_spin(std::size_t, std::uint32_t) { throw std::logic_error("cannot spin"); }

  /// Who calls: this process, or that of a script.
  virtual pid_t master() const { return ::getpid(); }
};

/// Arguments of the node of a peer: `bench --serve NAME BYTES`.
struct serve_arguments {
  std::size_t message_bytes = 0;
};

/// What a system can do; cases leave out those that cannot do what they measure.
struct abilities {
  bool is_limit = false; ///< others are compared with it
  bool one_at_a_time = true;
  bool in_flight = true;               ///< has more than one message unanswered
  std::size_t at_once_max = 1'000'000; ///< so many with the memory of a usual machine; 0: none
  bool large = true;                   ///< messages of 64 MiB
  bool is_slow = false;                ///< a quick run leaves out what takes it seconds: messages of many MiB
  bool spins = false;                  ///< has several nodes that work
  bool can_be_apart = true;            ///< its ends are processes, which can be pinned to CPUs of their own
};

struct system_entry {
  std::string name{};
  std::string missing{}; ///< why it is skipped; empty: it is there
  abilities can{};
  std::function<std::unique_ptr<echo_system>(const echo_setup&)> start{};
  std::function<int(const serve_arguments&)> serve{}; ///< its node, if that is this program
};

} // namespace bench
