// The limit to compare with: a forked process that echoes over a socket pair, one system call a message, no framing.
#pragma once

#include <cstddef>
#include <sys/types.h>

namespace bench {

class raw_echo {
public:
  explicit raw_echo(std::size_t message_bytes);
  raw_echo(const raw_echo&) = delete;
  raw_echo& operator=(const raw_echo&) = delete;
  ~raw_echo();

  /// Sends one message and waits for its echo.
  void ping();

  /// Sends `count` messages, at most `window` of them unanswered at a time, and at most 16 KiB of them: both ends
  /// block, and would wait for each other with the buffers full.
  void pipeline(std::size_t count, std::size_t window);

private:
  void send_one() const;
  void receive_one() const;

  std::size_t message_bytes_;
  int fd_ = -1;
  pid_t child_ = 0;
};

} // namespace bench
