// nng: a PAIR at both ends, over a Unix domain socket.
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>

namespace bench {

namespace {

void check(int result) {
  if (result != 0)
    throw std::runtime_error(std::string{"nng: "} + ::nng_strerror(result));
}

class pair_socket {
public:
  pair_socket() {
    check(::nng_pair1_open(&socket_));
    // Room for a whole window at both ends: both block, and would wait for each other with the buffers full.
    constexpr int messages_max = 8'192;
    check(::nng_socket_set_int(socket_, NNG_OPT_SENDBUF, messages_max));
    check(::nng_socket_set_int(socket_, NNG_OPT_RECVBUF, messages_max));
    check(::nng_socket_set_size(socket_, NNG_OPT_RECVMAXSZ, 0)); // any size
  }
  pair_socket(const pair_socket&) = delete;
  pair_socket& operator=(const pair_socket&) = delete;
  ~pair_socket() { ::nng_close(socket_); }

  nng_socket get() const noexcept { return socket_; }

private:
  nng_socket socket_{};
};

class nng_echo final : public echo_system {
public:
  explicit nng_echo(const echo_setup& setup) : server_{"nng", setup.message_bytes}, text_(setup.message_bytes, 'x') {
    check(::nng_dial(socket_.get(), server_.address().c_str(), nullptr, 0));
  }

  void one() override {
    send();
    receive();
  }

  void many(std::size_t count, std::size_t in_flight) override {
    std::size_t sent = 0;
    for (std::size_t received = 0; received < count; ++received) {
      for (; sent < count && sent - received < in_flight; ++sent)
        send();
      receive();
    }
  }

private:
  void send() { check(::nng_send(socket_.get(), text_.data(), text_.size(), 0)); }

  void receive() {
    nng_msg* message = nullptr;
    check(::nng_recvmsg(socket_.get(), &message, 0));
    const bool fits = ::nng_msg_len(message) == text_.size();
    ::nng_msg_free(message);
    if (!fits)
      throw std::runtime_error("nng: an answer of another size");
  }

  server_process server_;
  pair_socket socket_;
  std::string text_;
};

int serve(const serve_arguments&) {
  const socket_path path;
  const auto address = "ipc://" + path.text();
  const pair_socket socket;
  check(::nng_listen(socket.get(), address.c_str(), nullptr, 0));
  tell_address(address);
  for (;;) {
    nng_msg* message = nullptr;
    check(::nng_recvmsg(socket.get(), &message, 0));
    check(::nng_sendmsg(socket.get(), message, 0)); // takes the message
  }
}

} // namespace

system_entry nng_system() {
  return {.name = "nng",
          .can = {.at_once_max = 0}, // its buffers hold 8,192 messages
          .start = [](const echo_setup& setup) { return std::make_unique<nng_echo>(setup); },
          .serve = serve};
}

} // namespace bench
