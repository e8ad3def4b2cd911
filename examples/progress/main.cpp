// progress [--nodes N] [--limit N] [--every N]: counts primes in child processes that tell how far they are.
//
// The program is its own child. While a child works on a call it calls a slot of the master, an event, and the master
// moves a progress bar. Before that the master tells every live node how often to do so, with a broadcast. Ctrl-C ends
// it in order: the calls that run have a second left.

#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <CLI/CLI.hpp>

#include "../interrupt.hpp"
#include "../progress_bar.hpp"
#include "events.hpp"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <mutex>
#include <semaphore>
#include <stdexcept>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using progress::events;
using progress::range;

// -- the child ----------------------------------------------------------------

bool is_prime(std::uint64_t n) {
  for (std::uint64_t d = 2; d * d <= n; ++d)
    if (n % d == 0)
      return false;
  return n > 1;
}

void serve_primes(events& master) {
  const auto every = std::make_shared<std::uint64_t>(100'000);
  master.report_every.on([every](std::uint64_t numbers) {
    *every = numbers;
    return ::getpid();
  });
  master.count_primes.on([&master, every](const range& numbers) {
    std::uint64_t primes = 0;
    std::uint64_t unreported = 0;
    for (auto n = numbers.first; n < numbers.last; ++n) {
      primes += is_prime(n) ? 1 : 0;
      if (++unreported >= *every || n + 1 == numbers.last)
        if (!master.checked(std::exchange(unreported, 0)).get()) // waits, so that no report comes after the answer
          throw std::runtime_error("the master is gone");
    }
    return primes;
  });
  // Goes out as soon as the link is up and the master has a handler for it; nobody needs its result.
  static_cast<void>(master.started(::getpid()));
}

// -- the master ---------------------------------------------------------------

/// What the children have reported, as a bar.
class tally {
public:
  explicit tally(std::uint64_t total) : bar_{total, "numbers"} {}

  void add(std::uint64_t numbers) {
    std::lock_guard guard{mutex_};
    bar_.set(done_ += numbers);
  }

  /// Takes the bar off the screen. @returns the numbers reported.
  std::uint64_t finish() {
    std::lock_guard guard{mutex_};
    bar_.clear();
    return done_;
  }

private:
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  examples::progress_bar bar_;
};

int count_primes(std::size_t nodes, std::uint64_t limit, std::uint64_t every) {
  examples::block_interrupts();
  tally reported{limit};
  std::counting_semaphore<> started{0};
  cluster_channel::master_channel channel{{.executable = cluster_channel::this_executable(),
                                           .nodes = nodes,
                                           .min_nodes = nodes, // here before the first call
                                           .timeout = cluster_channel::no_timeout}};
  const cluster_channel::event_bus<events> children{channel};
  const examples::on_interrupt interrupted{[&] { channel.close(1s); }};
  children.checked.on([&](std::uint64_t numbers) { reported.add(numbers); });
  children.started.on([&](int) { started.release(); });

  for (std::size_t i = 0; i < nodes; ++i)
    if (!started.try_acquire_for(10s))
      throw std::runtime_error("a child does not start");
  const auto told = children.report_every.broadcast(every, {.timeout = 10s}).get();
  if (!told)
    throw std::runtime_error(cluster_channel::describe(told.error()));
  const auto heard = std::count_if(told->begin(), told->end(), [](const auto& answer) { return bool{answer}; });
  std::cout << heard << " of " << nodes << " nodes report every " << every << " numbers\n" << std::flush;

  const auto step = std::max<std::uint64_t>(1, limit / (4 * nodes));
  std::vector<cluster_channel::call<std::uint64_t>> calls;
  for (std::uint64_t first = 0; first < limit; first += step)
    calls.push_back(children.count_primes({first, std::min(first + step, limit)}));
  std::uint64_t primes = 0;
  bool failed = false;
  for (auto& call : calls) {
    const auto answer = call.get();
    primes += answer ? *answer : 0;
    if (!answer && cluster_channel::code_of(answer.error()) != cluster_channel::errc::channel_closed)
      std::cerr << "progress: " << cluster_channel::describe(answer.error()) << '\n';
    failed = failed || !answer;
  }
  if (failed)
    std::cout << "not all were counted\n";
  std::cout << reported.finish() << " numbers were reported while their calls ran\n"
            << primes << " primes are below " << limit << '\n';
  return failed ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
  if (cluster_channel::is_child())
    return cluster_channel::serve<events>(serve_primes);

  CLI::App app{"Counts primes in child processes, and shows how far these are."};
  std::size_t nodes = 2;
  std::uint64_t limit = 3'000'000;
  std::uint64_t every = 10'000;
  app.add_option("--nodes", nodes, "this many child processes")->check(CLI::Range(1, 1000));
  app.add_option("--limit", limit, "count the primes below this number")->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--every", every, "report after so many numbers")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    return count_primes(nodes, limit, every);
  } catch (const std::exception& ex) {
    std::cerr << "progress: " << ex.what() << '\n';
    return 1;
  }
}
