// Reads what children print and hands it on line by line, on a thread of its own: a slow reader of the master's stdout
// or a slow callback must not delay the launching and reaping of children.
//
// Nothing is queued: while a line is being handed on, the pipes fill up, and then the child that prints blocks.
#pragma once

#include <cluster_channel/actors/detail/line_splitter.hpp>
#include <cluster_channel/actors/process_host.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <list>
#include <memory>
#include <thread>

namespace cluster_channel::detail {

class output_forwarder {
public:
  /// Lines go to `on_output`, or to the master's own stdout and stderr if that is empty.
  explicit output_forwarder(output_callback on_output);

  output_forwarder(const output_forwarder&) = delete;
  output_forwarder& operator=(const output_forwarder&) = delete;

  /// Hands on what is in the pipes now, closes them, and joins the thread.
  ~output_forwarder();

  /// Reads `fd`, which it owns from now on, until end of file. Thread-safe.
  void add(int fd, node_id node, std::int32_t pid, output_stream stream);

private:
  class pump;

  void hand_on(const output_line& line);

  const output_callback on_output_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::list<std::unique_ptr<pump>> pumps_; // touched by the thread only
  std::thread thread_;
};

} // namespace cluster_channel::detail
