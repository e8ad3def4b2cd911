// A channel over TCP, as an example of a channel of one's own: with Boost.Asio, and in about a hundred lines of code.
//
// It has one far end at a time. The end that connects does so again by itself when the connection was lost; meanwhile
// calls wait. A thread of its own reads and writes, from when a bus is made with the channel; it also runs the bus's
// handlers, which must not block. Thread-safe.
//
// TCP has neither a password nor a cipher: use it between programs on one machine, or on a network you trust.
#pragma once

#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/serialization/frame.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace tcp {

/// Whether an end waits for the other, or goes to it.
enum class role : std::uint8_t { listens, connects };

class tcp_channel final : public cluster_channel::generic_channel {
public:
  using endpoint = boost::asio::ip::tcp::endpoint;

  /// @param at where to listen, with port 0 for one that the system chooses; or where to connect to.
  /// @throws boost::system::system_error if it cannot listen there.
  tcp_channel(role which, const endpoint& at);

  tcp_channel(const tcp_channel&) = delete;
  tcp_channel& operator=(const tcp_channel&) = delete;

  ~tcp_channel() override;

  /// Where it listens, or connects to.
  endpoint address() const;

  std::shared_ptr<cluster_channel::call_target>
  connect(std::shared_ptr<cluster_channel::channel_listener> listener) override;

private:
  caf::error send(cluster_channel::message msg) override;
  bool reconnect() override;

  using socket = boost::asio::ip::tcp::socket;
  using socket_ptr = std::shared_ptr<socket>;

  // All that follow run on the channel's thread.
  void open();
  void opened(const socket_ptr& next, const boost::system::error_code& failed);
  void read();
  void write();
  void lost();

  boost::asio::io_context io_;
  const endpoint far_end_;                                 // where to connect to
  std::optional<boost::asio::ip::tcp::acceptor> acceptor_; // if it listens
  socket_ptr socket_;                                      // of the connection; null while there is none
  boost::asio::steady_timer pause_;                        // before it tries again
  std::array<std::byte, 65536> in_{};
  cluster_channel::frame_reader reader_;
  std::vector<char> writing_; // on its way

  std::mutex mutex_; // for the two below
  std::vector<char> out_;
  bool is_writing_ = false;

  std::thread thread_;
};

} // namespace tcp
