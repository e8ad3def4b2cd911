// The node of a peer in C++: this program once more, as `bench --serve NAME BYTES`.
#pragma once

#include <cstddef>
#include <string>
#include <sys/types.h>

namespace bench {

/// Runs from its construction on; killed and reaped by its destructor, and by the end of this process.
class server_process {
public:
  server_process(const std::string& system, std::size_t message_bytes);
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process();

  /// A socket pair with the server; its end is `link_of_server`.
  int link() const noexcept { return link_; }

  /// Waits for what the server tells with `tell_address`.
  std::string address() const;

private:
  int link_ = -1;
  pid_t pid_ = 0;
};

/// In the server.
inline constexpr int link_of_server = 3;

/// Tells the master that the server is ready, and where.
void tell_address(const std::string& address);

/// Returns when the master has gone.
void wait_for_the_master_to_go();

/// A path for a Unix domain socket, for this process alone; nothing is there.
class socket_path {
public:
  socket_path();
  socket_path(const socket_path&) = delete;
  socket_path& operator=(const socket_path&) = delete;
  ~socket_path();

  const std::string& text() const noexcept { return text_; }

private:
  std::string folder_;
  std::string text_;
};

} // namespace bench
