// What the suite's child and its master say to each other.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <string>

namespace parity_child {

struct events {
  // Handled by the children.
  cluster_channel::slot<int, int> twice;
  cluster_channel::slot<int, int> work;                  ///< sends `progress` 1 to n, and ends with the last of them
  cluster_channel::slot<int, int> ask;                   ///< answers with what the master's `secret` answers
  cluster_channel::slot<int, int> flood;                 ///< n + 2 questions at once: how many find the buffer full
  cluster_channel::slot<void, int> pid;                  ///< of the child
  cluster_channel::slot<void, std::string> argument;     ///< its first one
  cluster_channel::slot<void, std::string> directory;    ///< the child's working directory
  cluster_channel::slot<std::string, std::string> value; ///< of an environment variable
  cluster_channel::slot<std::string> say;                ///< prints a line to stdout and one to stderr
  cluster_channel::slot<int> quit;                       ///< ends with that code
  cluster_channel::slot<int> kill;                       ///< ends by that signal
  cluster_channel::slot<void> hang_up;                   ///< closes the link, and stays

  // Handled by the master.
  cluster_channel::slot<int> progress;
  cluster_channel::slot<int, int> secret;
};
BOOST_DESCRIBE_STRUCT(events, (),
                      (twice, work, ask, flood, pid, argument, directory, value, say, quit, kill, hang_up, progress,
                       secret))

} // namespace parity_child
