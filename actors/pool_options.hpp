// The options of a pool of nodes, with their defaults.
#pragma once

#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/actors/process_host.hpp>
#include <cluster_channel/actors/restart_policy.hpp>
#include <cluster_channel/serialization/link_codec.hpp>

#include <caf/timespan.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace cluster_channel {

/// Another kind of child in a pool. Its output is treated as that of the others.
struct child_program {
  // See process_spec.
  std::string executable{};
  std::vector<std::string> args{};
  std::string working_directory{};
  environment_options environment{};
  message_codec codec = message_codec::binary;
  std::size_t nodes = 1; ///< at most this many processes of it
};

struct pool_options {
  // What a node runs; see process_spec.
  std::string executable{};        ///< a path if it has a slash, else looked up in PATH
  std::vector<std::string> args{}; ///< without argv[0]
  std::string working_directory{}; ///< empty: the master's
  environment_options environment{};

  /// What the children speak: `message_codec::json` for programs of Node with ts-event-bus (docs/node.md).
  message_codec codec = message_codec::binary;

  /// Programs beside this one, for the same slots: a new node is one of the program of which the smallest share runs.
  std::vector<child_program> more_programs{};

  output_mode output = output_mode::forward;
  output_callback on_output{}; ///< if set, the children's output goes here line by line

  input_mode input = input_mode::null; ///< the children's stdin: /dev/null, or the master's

  /// Each child leads a process group of its own, so that a Ctrl-C at the terminal reaches the master alone, and
  /// signals of the master's reach all that a child has started (see process_host.hpp). false: the group of the master.
  bool own_group = true;

  /// With `this_executable()` as `executable`: the image that runs here, though its file may have been replaced since.
  /// false: whatever is at the path when a node is launched.
  bool own_image = true;

  /// At most this many child processes of it; 0: the number of CPUs that this process may use, by affinity and by the
  /// quota of its control groups.
  std::size_t nodes = 0;
  std::size_t min_nodes = 0;      ///< launched at once and kept up; 0: nothing runs before the first call
  std::size_t calls_per_node = 1; ///< calls in flight to one node; more than 1 pipelines

  /// At most this many nodes of each program are starting at a time, from launch to hello: as many as the machine can
  /// start within `start_timeout`. 0: twice the number of CPUs that this process may use. Raise it for children that
  /// wait, rather than compute, before they say hello.
  std::size_t launches_max = 0;

  std::size_t buffer_calls_max = 1'000'000;              ///< waiting calls; beyond: `buffer_full`
  std::size_t buffer_bytes_max = std::size_t{256} << 20; ///< their encoded requests, in bytes; beyond: `buffer_full`
  /// One message, in both directions, as the children are told; beyond, that call fails with `message_too_large`. To
  /// have large ones wait, raise `buffer_bytes_max` too.
  std::size_t frame_bytes_max = default_frame_bytes_max;

  /// From the moment a call was handed to the channel to its answer, waiting for a node included. `no_timeout`
  /// switches it off. A node that runs a timed-out call stays busy until it answers; that late answer is dropped.
  caf::timespan timeout = std::chrono::seconds{5};
  caf::timespan wait_timeout = no_timeout; ///< the part of it until a node runs the call
  caf::timespan run_timeout = no_timeout;  ///< the part of it on the node

  /// Calls of one child to the master's slots that are open at a time; beyond, and beyond `buffer_bytes_max` of their
  /// requests, the child's call fails with `buffer_full`.
  std::size_t child_calls_max = 10'000;

  /// Answers to such calls that a child has not read, in bytes: a child that goes on calling beyond that is cut off, as
  /// lost. The last answer may go beyond; what the system already took for it does not count.
  std::size_t unread_bytes_max = std::size_t{64} << 20;

  /// A call ends when the handlers have run for what its child sent before the answer, such as the call's progress; but
  /// it waits for them no longer than this, and not beyond its own time limits. Zero: it never waits for them.
  std::chrono::milliseconds answer_hold_max{5'000};

  std::chrono::milliseconds start_timeout{10'000}; ///< from launch to the child's hello
  backoff_options backoff{};                       ///< between failed starts

  // How a child is stopped: end of file on its link, then SIGTERM, then SIGKILL.
  std::chrono::milliseconds drain_timeout{5'000}; ///< `close()`: for running and waiting calls to finish
  std::chrono::milliseconds exit_grace{2'000};    ///< from end of file to SIGTERM
  std::chrono::milliseconds term_grace{2'000};    ///< from SIGTERM to SIGKILL
  std::chrono::milliseconds kill_grace{2'000};    ///< from SIGKILL to leaving behind what has not ended even so

  /// After a child closed its link: how long to wait for its exit code before the running calls fail with
  /// "Node disconnected". After it exited: how long to wait for the rest of what it sent, should another process
  /// still hold its link open.
  std::chrono::milliseconds disconnect_grace{500};
};

/// Checks every number. @returns an empty error, or `invalid_options` naming the option and the permitted range.
caf::error validate(const pool_options& options);

/// The programs of the pool, the options' own first.
std::vector<child_program> programs_of(const pool_options& options);

/// How many nodes the pool has at most: those of all programs.
std::size_t nodes_of(const pool_options& options);

/// The part that a process host needs, for each program.
std::vector<process_spec> process_specs_of(const pool_options& options);

/// `options` with `nodes` and `launches_max` filled in.
pool_options with_defaults(pool_options options);

} // namespace cluster_channel
