#include "tcp_channel.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <chrono>
#include <span>
#include <utility>
#include <variant>

namespace tcp {

namespace {

using namespace cluster_channel;
using boost::system::error_code;

/// What may wait to be written, in bytes; beyond, calls and answers are refused.
constexpr std::size_t out_bytes_max = std::size_t{256} << 20;

/// Nobody repeats a hello or an announcement that was refused, and they are few and small: they go out whatever waits.
bool is_announcement(const message& msg) {
  return std::holds_alternative<hello>(msg) || std::holds_alternative<event_list>(msg) ||
         std::holds_alternative<handler_registered>(msg) || std::holds_alternative<handler_unregistered>(msg);
}

/// Between two attempts to connect; a call does not wait for it.
constexpr auto pause_between_attempts = std::chrono::milliseconds{200};

} // namespace

tcp_channel::tcp_channel(role which, const endpoint& at) : far_end_{at}, pause_{io_} {
  if (which == role::listens)
    acceptor_.emplace(io_, at);
}

tcp_channel::~tcp_channel() {
  detach();
  io_.stop();
  if (thread_.joinable())
    thread_.join();
}

tcp_channel::endpoint tcp_channel::address() const {
  return acceptor_ ? acceptor_->local_endpoint() : far_end_;
}

std::shared_ptr<call_target> tcp_channel::connect(std::shared_ptr<channel_listener> listener) {
  auto result = generic_channel::connect(std::move(listener));
  thread_ = std::thread{[this] {
    open();
    io_.run();
  }};
  return result;
}

void tcp_channel::open() {
  // A socket of its own for each connection: what is still under way on an old one ends there.
  auto next = std::make_shared<socket>(io_);
  const auto done = [this, next](const error_code& failed) { opened(next, failed); };
  if (acceptor_)
    acceptor_->async_accept(*next, done);
  else
    next->async_connect(far_end_, done);
}

void tcp_channel::opened(const socket_ptr& next, const error_code& failed) {
  if (failed) {
    pause_.expires_after(pause_between_attempts);
    pause_.async_wait([this](const error_code&) { open(); });
    return;
  }
  error_code ignored;
  next->set_option(boost::asio::ip::tcp::no_delay{true}, ignored);
  socket_ = next;
  reader_ = frame_reader{};
  {
    std::lock_guard guard{mutex_};
    out_.clear(); // what was meant for the connection before
  }
  connected();
  read();
}

void tcp_channel::read() {
  socket_->async_read_some(boost::asio::buffer(in_),
                           [this, from = socket_](const error_code& failed, std::size_t size) {
                             reader_.feed(std::span{in_}.first(size));
                             while (auto msg = reader_.next())
                               message_received(std::move(*msg));
                             if (reader_.error())
                               error(reader_.error());
                             if (failed || reader_.error())
                               lost();
                             else
                               read();
                           });
}

void tcp_channel::lost() {
  error_code ignored;
  socket_->close(ignored);
  socket_ = nullptr;
  disconnected();
  open();
}

caf::error tcp_channel::send(message msg) {
  std::lock_guard guard{mutex_};
  if (out_.size() > out_bytes_max && !is_announcement(msg))
    return make_error(errc::buffer_full, "the far end does not read what was sent to it before");
  if (auto err = write_frame(out_, msg, default_frame_bytes_max))
    return err;
  if (!std::exchange(is_writing_, true))
    boost::asio::post(io_, [this] { write(); });
  return {};
}

void tcp_channel::write() {
  {
    std::lock_guard guard{mutex_};
    writing_ = std::exchange(out_, {});
    is_writing_ = socket_ && !writing_.empty();
    if (!is_writing_)
      return;
  }
  boost::asio::async_write(*socket_, boost::asio::buffer(writing_),
                           [this, to = socket_](const error_code&, std::size_t) {
                             write(); // after a failure too: `read` notices that the connection is lost
                           });
}

bool tcp_channel::reconnect() {
  if (acceptor_)
    return false; // the far end has to come
  boost::asio::post(io_, [this] { pause_.cancel(); });
  return true;
}

} // namespace tcp
