// Reads what children print and hands it on line by line, on a thread of its own: a slow reader of the master's stdout
// or a slow callback must not delay the launching and reaping of children.
//
// Nothing is queued: while a line is being handed on, the pipes fill up, and then the child that prints blocks.
//
// A pipe may outlive its child, in the hands of what the child left behind. It is read on, but only those of the last
// `left_pipes_max` are: no more descriptors than that are kept for children that have ended.
#pragma once

#include <cluster_channel/actors/process_host.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace cluster_channel::detail {

class output_forwarder {
public:
  using pipe = boost::asio::posix::stream_descriptor;

  /// Lines go to `on_output`, or to the master's own stdout and stderr if that is empty; if the master has none (see
  /// `is_standard_fd`), nowhere. Made before anything else opens a descriptor, which might get the number of one.
  explicit output_forwarder(output_callback on_output);

  output_forwarder(const output_forwarder&) = delete;
  output_forwarder& operator=(const output_forwarder&) = delete;

  /// Hands on what is in the pipes now, closes them, and joins the thread. Waits for whom lines are handed on to.
  ~output_forwarder();

  /// Prepares `fd` for `add`, and owns it from then on. Thread-safe. Throws `boost::system::system_error`, and owns
  /// nothing, if the system cannot watch one more descriptor.
  pipe watch(int fd);

  /// Reads `from` until end of file. Thread-safe; may be destroyed at any time after.
  void add(pipe from, node_id node, std::int32_t pid, output_stream stream);

  /// The child of `node` was reaped: its pipes are among those left now. Thread-safe.
  void child_ended(node_id node);

private:
  class pump;
  using pipe_name = std::pair<node_id, output_stream>;

  static constexpr std::size_t left_pipes_max = 32;

  void leave(const pipe_name& name);
  void forget(const pipe_name& name);
  void hand_on(const output_line& line);

  const output_callback on_output_;
  const int out_; // -1: the master has none
  const int err_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::map<pipe_name, std::shared_ptr<pump>> pumps_; // touched by the thread only, as the next two
  std::deque<pipe_name> left_;                       // those of them whose child has ended, in that order
  std::vector<char> buffer_;
  std::thread thread_;
};

} // namespace cluster_channel::detail
