#include "systems/cluster_channel.hpp"

#include "systems/systems.hpp"
#include <algorithm>
#include <chrono>
#include <latch>
#include <stdexcept>
#include <thread>

namespace bench {

using namespace std::chrono_literals;

cluster_channel::master_options pool_of_one(std::size_t calls_per_node) {
  return {.executable = BENCH_CHILD,
          .nodes = 1,
          .calls_per_node = calls_per_node,
          .buffer_calls_max = 4'000'000,
          .buffer_bytes_max = std::size_t{1} << 30,
          .frame_bytes_max = std::size_t{65} << 20,
          .timeout = 2min};
}

call_window::call_window(const events& bus, const std::string& text, std::size_t in_flight)
    : bus_{bus}, text_{text}, in_flight_{in_flight}, room_{static_cast<std::ptrdiff_t>(in_flight)} {}

void call_window::call(const cluster_channel::call_options& options) {
  room_.acquire();
  bus_.echo(text_, options).on_result([this](const caf::expected<std::string>& x) {
    failed_ += !x || x->size() != text_.size();
    room_.release();
  });
}

void call_window::drain() {
  for (std::size_t i = 0; i < in_flight_; ++i)
    room_.acquire();
  if (failed_ > 0)
    throw std::runtime_error("calls failed");
  room_.release(static_cast<std::ptrdiff_t>(in_flight_));
}

namespace {

/// More than this many calls to a node at a time help nobody.
constexpr std::size_t calls_per_node_max = 4'096;

class cluster_channel_echo : public echo_system {
public:
  explicit cluster_channel_echo(const echo_setup& setup)
      : text_(setup.message_bytes, 'x'), pool_{pool_of_one(std::min(setup.in_flight, calls_per_node_max))} {}

  void one() override {
    const auto answer = pool_.bus.echo(text_).get();
    if (!answer || answer->size() != text_.size())
      throw std::runtime_error("a call failed");
  }

  void many(std::size_t count, std::size_t in_flight) override { call_all(count, in_flight); }

  void issue(std::size_t count) override {
    waiting_ = std::make_unique<call_window>(pool_.bus, text_, count);
    for (std::size_t i = 0; i < count; ++i)
      waiting_->call();
  }

  void collect() override {
    waiting_->drain();
    waiting_.reset();
  }

protected:
  void call_all(std::size_t count, std::size_t in_flight) {
    call_window window{pool_.bus, text_, in_flight};
    for (std::size_t i = 0; i < count; ++i)
      window.call();
    window.drain();
  }

  const std::string& text() const noexcept { return text_; }
  const events& bus() const noexcept { return pool_.bus; }

private:
  std::string text_;
  pool pool_;
  std::unique_ptr<call_window> waiting_;
};

/// Threads that share the window.
class with_callers final : public cluster_channel_echo {
public:
  with_callers(const echo_setup& setup, std::size_t callers) : cluster_channel_echo{setup}, callers_{callers} {}

  void many(std::size_t count, std::size_t in_flight) override {
    const auto callers = std::min(callers_, in_flight);
    std::atomic<std::size_t> failed{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < callers; ++i)
      threads.emplace_back([&] {
        try {
          call_all(count / callers, in_flight / callers);
        } catch (const std::exception&) {
          ++failed;
        }
      });
    for (auto& each : threads)
      each.join();
    if (failed > 0)
      throw std::runtime_error("calls failed");
  }

private:
  std::size_t callers_;
};

class with_map final : public cluster_channel_echo {
public:
  using cluster_channel_echo::cluster_channel_echo;

  void many(std::size_t count, std::size_t in_flight) override {
    for (const auto& each : bus().echo.map(repeated{text(), count}, {.window = in_flight}))
      if (!each.answer)
        throw std::runtime_error("a call failed");
  }

private:
  /// The same request over and over.
  struct repeated {
    struct iterator {
      const std::string* text;
      std::size_t left;
      const std::string& operator*() const { return *text; }
      iterator& operator++() {
        --left;
        return *this;
      }
      bool operator==(const iterator& x) const { return left == x.left; }
    };
    iterator begin() const { return {&text, count}; }
    iterator end() const { return {&text, 0}; }
    const std::string& text;
    std::size_t count;
  };
};

/// Nodes that work; so many calls are on their way to each at a time.
class with_work final : public echo_system {
public:
  with_work(const echo_setup& setup, std::size_t calls_per_node) : pool_{options(setup.nodes, calls_per_node)} {}

  void one() override { spin_all(1, 0); }
  void many(std::size_t, std::size_t) override { throw std::logic_error("cannot echo"); }

  double time_spin(std::size_t count, std::uint32_t us) override {
    return timed([&] { spin_all(count, us); });
  }

private:
  static cluster_channel::master_options options(std::size_t nodes, std::size_t calls_per_node) {
    auto result = pool_of_one(calls_per_node);
    result.nodes = result.min_nodes = nodes;
    return result;
  }

  void spin_all(std::size_t count, std::uint32_t us) {
    std::atomic<std::size_t> failed{0};
    std::latch done{static_cast<std::ptrdiff_t>(count)};
    for (std::size_t i = 0; i < count; ++i)
      pool_.bus.spin_us(us).on_result([&](const caf::expected<void>& x) {
        failed += x ? 0U : 1U;
        done.count_down();
      });
    done.wait();
    if (failed > 0)
      throw std::runtime_error("calls failed");
  }

  pool pool_;
};

} // namespace

std::vector<system_entry> cluster_channel_systems() {
  std::vector<system_entry> result;
  result.push_back({.name = "cluster_channel",
                    .start = [](const echo_setup& setup) { return std::make_unique<cluster_channel_echo>(setup); }});
  constexpr abilities variant{.one_at_a_time = false, .at_once_max = 0, .large = false};
  for (const std::size_t callers : {2, 100})
    result.push_back(
        {.name = "cluster_channel, " + std::to_string(callers) + " callers",
         .can = variant,
         .start = [callers](const echo_setup& setup) { return std::make_unique<with_callers>(setup, callers); }});
  result.push_back({.name = "cluster_channel map", .can = variant, .start = [](const echo_setup& setup) {
                      return std::make_unique<with_map>(setup);
                    }});
  constexpr abilities works{
      .one_at_a_time = false, .in_flight = false, .at_once_max = 0, .large = false, .spins = true};
  for (const std::size_t calls : {1, 16})
    result.push_back(
        {.name = "cluster_channel, " + std::to_string(calls) + (calls == 1 ? " call" : " calls") + " a node",
         .can = works,
         .start = [calls](const echo_setup& setup) { return std::make_unique<with_work>(setup, calls); }});
  return result;
}

} // namespace bench
