#include "systems/server_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace bench {

server_process::server_process(const std::string& system, std::size_t message_bytes) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    throw std::system_error{errno, std::generic_category(), "socketpair"};
  std::string name = "bench";
  std::string serve = "--serve";
  std::string what = system;
  std::string bytes = std::to_string(message_bytes);
  char* const arguments[] = {name.data(), serve.data(), what.data(), bytes.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, fds[1], link_of_server);
  const auto error = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(fds[1]);
  link_ = fds[0];
  if (error != 0) {
    ::close(link_);
    throw std::system_error{error, std::generic_category(), "posix_spawn"};
  }
}

server_process::~server_process() {
  ::close(link_);
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string server_process::address() const {
  std::string result;
  for (char c = 0; ::read(link_, &c, 1) == 1 && c != '\n';)
    result += c;
  if (result.empty())
    throw std::runtime_error("the server ended before it was ready");
  return result;
}

void tell_address(const std::string& address) {
  const auto line = address + '\n';
  if (::write(link_of_server, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    std::exit(1);
}

void wait_for_the_master_to_go() {
  pollfd link{link_of_server, POLLIN, 0};
  while (::poll(&link, 1, -1) < 0 && errno == EINTR)
    ;
}

socket_path::socket_path() : folder_{(std::filesystem::temp_directory_path() / "bench-XXXXXX").string()} {
  if (!::mkdtemp(folder_.data()))
    throw std::system_error{errno, std::generic_category(), folder_};
  text_ = folder_ + "/socket";
}

socket_path::~socket_path() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

} // namespace bench
