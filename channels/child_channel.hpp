// The child's end of the cluster channel.
//
//   child_channel channel;                 // the link the master left for us
//   event_bus<events> bus{channel};
//   bus.foo.on([](const foo_request& x) { return foo_response{x.bar * 2}; });
//   return channel.run();
//
// A child of a Node program speaks Node's IPC by itself: docs/node.md.
//
// It needs no actor system and starts no thread before it must. Its link is a blocking socket: the thread of `run()`
// reads it, whoever answers a call writes to it.
//
// Handlers may call the master's slots, and thereby send events while their own call runs: `bus.progress(0.5)`. They
// may wait for the answer too (`get`): while the thread of `run()` waits, it reads the link, and keeps further calls of
// the master's for when the handler has returned. A call to a slot that the master never handles waits without end,
// even beyond the end of the link: give it a `wait_timeout` where that may be.
#pragma once

#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/serialization/link_codec.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace cluster_channel {

/// Whose child a program may take itself for.
enum class child_of : std::uint8_t {
  cluster_channel, ///< of a master channel's only
  node_too,        ///< of a Node program's too, that started it with an IPC channel
};

/// Whether this process was launched as a node of a master channel, and has not taken its link yet: the environment
/// names a descriptor, and it is the very socket that the master made for this launch. Node's IPC alone makes no child:
/// process managers that are Node programs start all programs with it. A program that has masters in Node asks for
/// `is_child(child_of::node_too)`; one that is only ever a child just makes its `child_channel`.
bool is_child(child_of whose = child_of::cluster_channel) noexcept;

/// Says that this process is a master, whatever its environment says: takes the library's variables and Node's away, so
/// that `is_child` is false. The descriptor stays as it is. Early in `main`: it changes the environment.
void never_a_child() noexcept;

class child_channel final : public generic_channel {
public:
  /// Takes the link that the master named in the environment (and removes it there, so that no grandchild mistakes it
  /// for its own): the one that `is_child(child_of::node_too)` finds, CLUSTER_CHANNEL_FD for frames, NODE_CHANNEL_FD
  /// for Node's IPC. To be made at most once, early in `main`: it changes the environment, which no other thread may
  /// use then. In a process that is no child it is made all the same, and `run` says what it found instead.
  child_channel();

  /// Takes the link `fd`, a connected stream socket that it owns from then on.
  /// @param frame_bytes_max the largest message that this end takes, which it tells the master: one beyond it fails at
  ///        the master. (The other constructor takes what the master is willing to send.)
  explicit child_channel(int fd, std::size_t frame_bytes_max = default_frame_bytes_max,
                         message_codec codec = message_codec::binary);

  /// Closes the link; calls that are not answered by then fail at the master.
  ~child_channel() override;

  child_channel(const child_channel&) = delete;
  child_channel& operator=(const child_channel&) = delete;

  /// Serves calls until the master closes the link. Handlers that answer at once run on this thread, one after the
  /// other.
  /// @returns 0 after end of file, and 1 after an error, which it writes to stderr: for `return channel.run();`.
  int run();

  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override;

private:
  class socket;
  class reader;

  caf::error send(message msg) override;

  const detail::fork_mark mark_;
  std::shared_ptr<socket> socket_;
  std::vector<slot_declaration> slots_;
};

/// The whole `main` of a child: registers handlers and serves. At the top of a master's `main` it turns the program
/// into its own child (with `this_executable()` as `executable`):
///
///   if (is_child()) return serve<events>(register_handlers);
///
/// @param register_handlers called once with an `event_bus<Events>&`.
template <class Events, class F>
int serve(F&& register_handlers) {
  child_channel channel;
  event_bus<Events> bus{channel};
  std::invoke(std::forward<F>(register_handlers), bus);
  return channel.run();
}

} // namespace cluster_channel
