// A channel whose messages the test carries to the other end by hand, and two buses that such channels connect.
#pragma once

#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/generic_channel.hpp>

#include "test_events.hpp"
#include <deque>
#include <functional>
#include <utility>
#include <vector>

namespace cluster_channel::test {

class hand_channel final : public generic_channel {
public:
  hand_channel() : generic_channel{no_timeout} {}
  ~hand_channel() override { detach(); }

  using generic_channel::connected;
  using generic_channel::disconnected;
  using generic_channel::message_received;

  std::deque<message> sent;
  std::function<caf::error(const message&)> on_send; // called before a message is kept; what it refuses is not

private:
  caf::error send(message msg) override {
    if (on_send)
      if (auto err = on_send(msg))
        return err;
    sent.push_back(std::move(msg));
    return {};
  }
};

/// Two buses, connected and introduced to each other.
class chunked_pair {
public:
  explicit chunked_pair(const chunk_options& options)
      : here_chunked_{here_link, options}, there_chunked_{there_link, options} {
    connect();
  }

  void connect() {
    here_link.connected();
    there_link.connected();
    carry();
  }

  void disconnect() {
    here_link.disconnected();
    there_link.disconnected();
    here_link.sent.clear();
    there_link.sent.clear();
  }

  /// Brings everything to the other end, also what that leads to.
  void carry() {
    while (!here_link.sent.empty() || !there_link.sent.empty()) {
      carry(here_link, there_link);
      carry(there_link, here_link);
    }
  }

  static void carry(hand_channel& from, hand_channel& to) {
    while (!from.sent.empty()) {
      auto msg = std::move(from.sent.front());
      from.sent.pop_front();
      to.message_received(std::move(msg));
    }
  }

  hand_channel here_link;
  hand_channel there_link;

private:
  chunked_channel here_chunked_;
  chunked_channel there_chunked_;

public:
  event_bus<test_events> here{here_chunked_};
  event_bus<test_events> there{there_chunked_};
};

} // namespace cluster_channel::test
