// Launches, signals and reaps child processes, and forwards what they print.
//
// One host owns one thread on which it launches, signals and reaps, and another on which it reads what children print;
// nothing else in the library blocks. Parent-death signals follow the thread that forked (prctl(2), PR_SET_PDEATHSIG),
// so that thread lives as long as the host. A process is signalled only by its host, and only until it was reaped.
//
// A child starts with its own descriptors only (0, 1, 2 and its link), default signal handlers and nothing blocked; a
// signal that the master ignores stays ignored, except SIGPIPE and SIGCHLD. A standard descriptor that the master
// has closed or marked close-on-exec is /dev/null in the child, and forwarded output has nowhere to go then. It may run
// on the CPUs of the master's main thread, whatever thread launches it.
//
// A child leads a process group of its own (`process_spec::own_group`), and signals go to all of it. What is left of
// the group when the child has ended is killed if the child was told to end, or died of a signal; what a child leaves
// behind when it ends by itself is its own affair. Of such, the output is read on, from the last 16 children.
//
// Not here: any decision. When to launch, what to do about an exit, how long to wait: supervisor.hpp.
#pragma once

#include <cluster_channel/serialization/error.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace cluster_channel {

/// Name of the environment variable that tells a child the number of its link descriptor.
inline constexpr const char* link_fd_variable = "CLUSTER_CHANNEL_FD";

/// Name of the variable that tells which socket that must be: its inode number. Set beside Node's variables too.
inline constexpr const char* link_id_variable = "CLUSTER_CHANNEL_LINK";

/// The path of the running program, as it was when first asked for: with it as `executable`, a program is its own child
/// (see `is_child`), and runs the same image even if the file was replaced or deleted meanwhile (`own_image`).
/// Throws `std::filesystem::filesystem_error` where there is no /proc.
std::string this_executable();

/// Which of a child's output streams.
enum class output_stream : std::uint8_t { out, err };

/// One line a child printed, without its newline.
struct output_line {
  node_id node = 0;
  std::int32_t pid = 0;
  output_stream stream = output_stream::out;
  std::string text{}; ///< at most `output_line_bytes_max`; a longer line arrives in several pieces
};

/// Longest piece of a child's output handed on at once, in bytes.
inline constexpr std::size_t output_line_bytes_max = std::size_t{64} << 10;

/// Called for each line, on a thread of the process host, never concurrently. Must not throw. A callback that
/// blocks delays later lines, and in the end the child that prints them, but no call and no reaping.
using output_callback = std::function<void(const output_line&)>;

/// What happens to a child's stdout and stderr.
enum class output_mode : std::uint8_t {
  forward, ///< line by line to the master's same stream, each line whole and tagged `[node 3 pid 4711] `
  inherit, ///< the child writes to the master's own descriptors
  drop,    ///< to /dev/null
};

/// What a child's stdin is.
enum class input_mode : std::uint8_t {
  null,    ///< /dev/null
  inherit, ///< the master's. On a terminal a child of its own group is stopped when it reads (SIGTTIN)
};

/// How a child's environment is made. The master's is taken when the host is made: every child has the same.
struct environment_options {
  bool inherit = true;                      ///< start from the master's environment; false: from nothing
  std::map<std::string, std::string> set{}; ///< then add or replace these
  std::vector<std::string> unset{};         ///< then remove these
};

/// How a child learns of its link.
enum class link_variables : std::uint8_t {
  cluster_channel, ///< CLUSTER_CHANNEL_FD and CLUSTER_CHANNEL_LINK
  node,            ///< NODE_CHANNEL_FD and NODE_CHANNEL_SERIALIZATION_MODE, as Node's own children do; and the latter
};

/// What to run. Validated by `validate`; a host expects a valid one.
struct process_spec {
  std::string executable{};        ///< a path if it has a slash, else looked up in the master's PATH; both
                                   ///< relative to the master's directory, whatever the child's is
  std::vector<std::string> args{}; ///< without argv[0]
  std::string working_directory{}; ///< empty: the master's
  environment_options environment{};
  output_mode output = output_mode::forward;
  output_callback on_output{}; ///< if set, lines go here instead of what `output` says
  link_variables link = link_variables::cluster_channel;
  input_mode input = input_mode::null;
  bool own_group = true; ///< a process group of its own, which is signalled as a whole; false: the master's
  bool own_image =
      true; ///< if `executable` is `this_executable()`: the image that runs here; false: what is at the path
};

/// Checks what can be checked without launching: empty or unusable names, missing working directory, embedded zero
/// bytes, `=` in variable names. Does not look for the executable: that is a launch error with its own cause.
/// @returns an empty error or `invalid_options` that says which option and what to do.
caf::error validate(const process_spec& spec);

/// How a process ended. Never both: `signaled` tells which of the two `value` is.
struct exit_status {
  bool signaled = false; ///< killed by signal `value`; otherwise exited with code `value`, -1 if that is not known
                         ///< because the program reaps all its children itself or ignores SIGCHLD, on a kernel that
                         ///< does not tell either (before Linux 6.15)
  std::int32_t value = 0;
  friend bool operator==(const exit_status&, const exit_status&) = default;
};

/// The child runs. `link_fd` is the master's end of its link: close-on-exec; the receiver owns it.
struct process_started {
  node_id node = 0;
  std::int32_t pid = 0;
  int link_fd = -1;
};

/// The child could not be started; nothing is left of it. `permanent` if trying again cannot help
/// (no such file, not executable, not a program), as opposed to a lack of processes, memory or descriptors. The cause
/// names the step that failed, if it was not the execution.
struct process_failed {
  node_id node = 0;
  caf::error cause{}; ///< `launch_failed`, naming the executable and the system's reason
  bool permanent = false;
};

/// The child ended and was reaped; its pid is forgotten. Comes once for each `process_started`, after it. What the
/// child printed may be handed on before or after.
struct process_exited {
  node_id node = 0;
  exit_status status{};
};

using process_event = std::variant<process_started, process_failed, process_exited>;

/// Receives what happens, on the host's thread. Must not block or throw.
using process_listener = std::function<void(process_event)>;

/// The seam between supervisor and operating system, so that tests can script processes.
/// All functions are thread-safe and return at once; results arrive at the listener.
class process_host {
public:
  virtual ~process_host() = default;

  /// Starts one process for `node`, which has none yet; ends in `process_started` or `process_failed`.
  /// @param program which of the host's programs, counted from 0.
  virtual void launch(node_id node, std::size_t program = 0) = 0;

  /// Sends `signo` to the process of `node`; no effect if it was reaped.
  virtual void signal(node_id node, int signo) = 0;
};

/// A host that launches real processes with Boost.Process, each with its own link (a socket pair).
///
/// Destroying it kills (SIGKILL) and reaps what still runs, hands on the output that is there, and joins its threads.
/// The listener hears of those ends too, but nothing after that, and what it launches meanwhile is ignored. Waits for
/// who takes the output; not for grandchildren that keep a child's stdout open. Not from the listener or `on_output`.
///
/// Throws `std::exception` if the system has no thread or descriptor left for the host itself.
/// @param programs what it can launch, at least one; output options are those of the first.
std::unique_ptr<process_host> make_process_host_for(std::vector<process_spec> programs, process_listener listener);

/// A host of one program.
std::unique_ptr<process_host> make_process_host(process_spec program, process_listener listener);

} // namespace cluster_channel
