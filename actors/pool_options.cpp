#include <cluster_channel/actors/detail/cpus.hpp>
#include <cluster_channel/actors/pool_options.hpp>

namespace cluster_channel {

namespace {

// Bounds a typo such as a byte count in the wrong place, not a use: no machine runs a million children.
constexpr std::size_t nodes_limit = 1'000'000;

// The length field of a frame has 32 bits.
constexpr std::size_t frame_bytes_limit = largest_frame_bytes;
constexpr std::size_t frame_bytes_least = 1024; // room for a hello and an error text

caf::error invalid(const std::string& text) {
  return make_error(errc::invalid_options, text);
}

} // namespace

caf::error validate(const pool_options& options) {
  for (const auto& spec : process_specs_of(options))
    if (auto err = validate(spec))
      return err;
  if (options.nodes > nodes_limit)
    return invalid("nodes is " + std::to_string(options.nodes) + ": give 1 to " + std::to_string(nodes_limit) +
                   ", or 0 for the number of CPUs");
  for (const auto& program : options.more_programs)
    if (program.nodes == 0 || program.nodes > nodes_limit)
      return invalid("nodes of " + program.executable + " in more_programs is " + std::to_string(program.nodes) +
                     ": give 1 to " + std::to_string(nodes_limit));
  if (const auto nodes = nodes_of(with_defaults(options)); options.min_nodes > nodes)
    return invalid("min_nodes is " + std::to_string(options.min_nodes) + " but nodes is " + std::to_string(nodes) +
                   ": give min_nodes at most the value of nodes");
  if (options.launches_max > nodes_limit)
    return invalid("launches_max is " + std::to_string(options.launches_max) + ": give 1 to " +
                   std::to_string(nodes_limit) + ", or 0 for twice the number of CPUs");
  if (options.calls_per_node == 0)
    return invalid("calls_per_node is 0: give at least 1");
  if (options.buffer_calls_max == 0)
    return invalid("buffer_calls_max is 0: give at least 1, a call waits here while its node starts");
  if (options.buffer_bytes_max == 0)
    return invalid("buffer_bytes_max is 0: give at least the size of one encoded request");
  if (options.frame_bytes_max < frame_bytes_least || options.frame_bytes_max > frame_bytes_limit)
    return invalid("frame_bytes_max is " + std::to_string(options.frame_bytes_max) + ": give " +
                   std::to_string(frame_bytes_least) + " to " + std::to_string(frame_bytes_limit));
  for (const auto& [name, timeout] :
       {std::pair{"timeout", options.timeout}, std::pair{"wait_timeout", options.wait_timeout},
        std::pair{"run_timeout", options.run_timeout}})
    if (timeout <= caf::timespan::zero())
      return invalid(std::string{name} + " is not positive: give a duration above zero, or no_timeout");
  if (options.child_calls_max == 0)
    return invalid("child_calls_max is 0: give at least 1");
  if (options.unread_bytes_max == 0)
    return invalid("unread_bytes_max is 0: give at least the size of one encoded response");
  if (options.start_timeout <= std::chrono::milliseconds::zero())
    return invalid("start_timeout is not positive: give a duration above zero");
  if (options.backoff.failures_max == 0)
    return invalid("backoff.failures_max is 0: give at least 1");
  if (options.backoff.initial <= std::chrono::milliseconds::zero() || options.backoff.longest < options.backoff.initial)
    return invalid("backoff.initial must be above zero and at most backoff.longest");
  for (const auto& [name, grace] :
       {std::pair{"drain_timeout", options.drain_timeout}, std::pair{"exit_grace", options.exit_grace},
        std::pair{"term_grace", options.term_grace}, std::pair{"kill_grace", options.kill_grace},
        std::pair{"disconnect_grace", options.disconnect_grace}, std::pair{"answer_hold_max", options.answer_hold_max}})
    if (grace < std::chrono::milliseconds::zero())
      return invalid(std::string{name} + " is negative: give zero or more");
  return {};
}

std::vector<child_program> programs_of(const pool_options& options) {
  std::vector<child_program> result{{.executable = options.executable,
                                     .args = options.args,
                                     .working_directory = options.working_directory,
                                     .environment = options.environment,
                                     .codec = options.codec,
                                     .nodes = options.nodes}};
  result.insert(result.end(), options.more_programs.begin(), options.more_programs.end());
  return result;
}

std::size_t nodes_of(const pool_options& options) {
  auto result = options.nodes;
  for (const auto& program : options.more_programs)
    result += program.nodes;
  return result;
}

std::vector<process_spec> process_specs_of(const pool_options& options) {
  std::vector<process_spec> result;
  for (auto& program : programs_of(options))
    result.push_back(
        {.executable = std::move(program.executable),
         .args = std::move(program.args),
         .working_directory = std::move(program.working_directory),
         .environment = std::move(program.environment),
         .output = options.output,
         .on_output = options.on_output,
         .link = program.codec == message_codec::json ? link_variables::node : link_variables::cluster_channel,
         .input = options.input,
         .own_group = options.own_group,
         .own_image = options.own_image});
  return result;
}

pool_options with_defaults(pool_options options) {
  if (options.nodes == 0)
    options.nodes = detail::usable_cpus();
  if (options.launches_max == 0)
    options.launches_max = 2 * detail::usable_cpus();
  return options;
}

} // namespace cluster_channel
