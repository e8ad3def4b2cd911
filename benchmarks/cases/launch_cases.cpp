// From the launch of a node to its first answer. A launch must not depend on the size of the master.
#include "cases/cases.hpp"
#include "systems/cluster_channel.hpp"
#include <cerrno>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>

namespace bench {

namespace {

/// posix_spawn of the program of our nodes, until it has written a byte. @returns microseconds.
double spawn_to_first_byte() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0)
    throw std::system_error{errno, std::generic_category(), "pipe2"};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
  std::string name = BENCH_CHILD;
  std::string flag = "--first-byte";
  char* const arguments[] = {name.data(), flag.data(), nullptr};
  pid_t pid = 0;
  const auto start = clock_type::now();
  const auto error = ::posix_spawn(&pid, BENCH_CHILD, &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(fds[1]);
  char byte = 0;
  const bool came = error == 0 && ::read(fds[0], &byte, 1) == 1;
  const auto took = microseconds(clock_type::now() - start);
  ::close(fds[0]);
  if (error == 0)
    ::waitpid(pid, nullptr, 0);
  if (!came)
    throw std::runtime_error(std::string{BENCH_CHILD} + " could not be started");
  return took;
}

sample sample_of(std::vector<double> times) {
  sample result;
  result.p50_us = percentile(times, 0.5);
  result.p99_us = percentile(times, 0.99);
  result.mode = name_of(pin_mode::free);
  return result;
}

/// From the making of a pool to the answer of its first call, in microseconds.
double pool_to_first_answer() {
  const auto start = clock_type::now();
  const pool fresh{pool_of_one()};
  if (!fresh.bus.echo("x").get())
    throw std::runtime_error("a call failed");
  return microseconds(clock_type::now() - start);
}

/// The same of a pool that is there, without its node.
double call_to_first_answer() {
  const pool fresh{pool_of_one()};
  const auto start = clock_type::now();
  if (!fresh.bus.echo("x").get())
    throw std::runtime_error("a call failed");
  return microseconds(clock_type::now() - start);
}

contestant launches(const char* name, std::size_t count, double (*one)(), bool is_limit) {
  return {name,
          [count, one] {
            std::vector<double> times;
            for (std::size_t i = 0; i < count; ++i)
              times.push_back(one());
            return sample_of(std::move(times));
          },
          is_limit};
}

void launch(context& with, const std::string& name) {
  const auto count = with.pick<std::size_t>(20, 2);
  if (with.wants("cluster_channel"))
    take_turns(with, name,
               {launches("posix_spawn to first byte", count, spawn_to_first_byte, true),
                launches("cluster_channel, new node", count, call_to_first_answer, false),
                launches("cluster_channel, new pool", count, pool_to_first_answer, false)});
}

void launch_with_ballast(context& with, const std::string& name) {
  const std::vector<char> ballast(with.pick<std::size_t>(1024, 64) << 20, 'x');
  launch(with, name);
}

} // namespace

std::vector<case_entry> launch_cases() {
  return {{"launch", launch}, {"launch_with_ballast", launch_with_ballast}};
}

} // namespace bench
