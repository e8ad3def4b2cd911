#include "raw_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace bench {

namespace {

void transfer(ssize_t (*io)(int, void*, std::size_t), int fd, std::vector<char>& data) {
  for (std::size_t done = 0; done < data.size();) {
    const auto n = io(fd, data.data() + done, data.size() - done);
    if (n <= 0)
      throw std::system_error{errno, std::generic_category(), "raw echo"};
    done += static_cast<std::size_t>(n);
  }
}

ssize_t write_some(int fd, void* data, std::size_t size) {
  return ::write(fd, data, size);
}

[[noreturn]] void echo_forever(int fd, std::size_t message_bytes) {
  std::vector<char> data(message_bytes);
  for (;;) {
    for (std::size_t done = 0; done < data.size();) {
      const auto n = ::read(fd, data.data() + done, data.size() - done);
      if (n <= 0)
        ::_exit(0);
      done += static_cast<std::size_t>(n);
    }
    transfer(write_some, fd, data);
  }
}

} // namespace

raw_echo::raw_echo(std::size_t message_bytes) : message_bytes_{message_bytes} {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    throw std::system_error{errno, std::generic_category(), "socketpair"};
  child_ = ::fork();
  if (child_ == 0) {
    ::close(fds[0]);
    echo_forever(fds[1], message_bytes);
  }
  ::close(fds[1]);
  fd_ = fds[0];
}

raw_echo::~raw_echo() {
  ::close(fd_);
  ::waitpid(child_, nullptr, 0);
}

void raw_echo::ping() {
  send_one();
  receive_one();
}

void raw_echo::pipeline(std::size_t count, std::size_t window) {
  constexpr std::size_t unanswered_bytes_max = std::size_t{16} * 1024;
  window = std::clamp<std::size_t>(unanswered_bytes_max / message_bytes_, 1, window);
  std::size_t sent = 0;
  for (std::size_t received = 0; received < count; ++received) {
    for (; sent < count && sent - received < window; ++sent)
      send_one();
    receive_one();
  }
}

void raw_echo::send_one() const {
  std::vector<char> data(message_bytes_, 'x');
  transfer(write_some, fd_, data);
}

void raw_echo::receive_one() const {
  std::vector<char> data(message_bytes_);
  transfer(::read, fd_, data);
}

} // namespace bench
