// ZeroMQ: a DEALER at both ends, over a Unix domain socket.
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <cstring>
#include <zmq.h>

namespace bench {

namespace {

void check(int result) {
  if (result < 0)
    throw std::runtime_error(std::string{"ZeroMQ: "} + ::zmq_strerror(::zmq_errno()));
}

/// A DEALER without bounds of its own: the window bounds what is under way.
class dealer {
public:
  dealer() : context_{::zmq_ctx_new()}, socket_{::zmq_socket(context_, ZMQ_DEALER)} {
    constexpr int none = 0;
    for (const auto option : {ZMQ_SNDHWM, ZMQ_RCVHWM, ZMQ_LINGER})
      check(::zmq_setsockopt(socket_, option, &none, sizeof none));
  }
  dealer(const dealer&) = delete;
  dealer& operator=(const dealer&) = delete;
  ~dealer() {
    ::zmq_close(socket_);
    ::zmq_ctx_term(context_);
  }

  void* get() const noexcept { return socket_; }

private:
  void* context_;
  void* socket_;
};

class zeromq final : public echo_system {
public:
  explicit zeromq(const echo_setup& setup)
      : server_{"ZeroMQ DEALER", setup.message_bytes}, text_(setup.message_bytes, 'x') {
    check(::zmq_connect(dealer_.get(), server_.address().c_str()));
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

  void issue(std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i)
      send();
    waiting_ += count;
  }

  void collect() override {
    for (; waiting_ > 0; --waiting_)
      receive();
  }

private:
  void send() { check(::zmq_send(dealer_.get(), text_.data(), text_.size(), 0)); }

  void receive() {
    zmq_msg_t message;
    ::zmq_msg_init(&message);
    const auto size = ::zmq_msg_recv(&message, dealer_.get(), 0);
    const bool fits = size >= 0 && static_cast<std::size_t>(size) == text_.size();
    ::zmq_msg_close(&message);
    check(size);
    if (!fits)
      throw std::runtime_error("ZeroMQ: an answer of another size");
  }

  server_process server_;
  dealer dealer_;
  std::string text_;
  std::size_t waiting_ = 0;
};

int serve(const serve_arguments&) {
  const socket_path path;
  const auto address = "ipc://" + path.text();
  dealer link;
  check(::zmq_bind(link.get(), address.c_str()));
  tell_address(address);
  for (;;) {
    zmq_msg_t message;
    ::zmq_msg_init(&message);
    check(::zmq_msg_recv(&message, link.get(), 0));
    check(::zmq_msg_send(&message, link.get(), 0)); // takes the message
  }
}

} // namespace

system_entry zeromq_system() {
  return {.name = "ZeroMQ DEALER",
          .start = [](const echo_setup& setup) { return std::make_unique<zeromq>(setup); },
          .serve = serve};
}

} // namespace bench
