// A channel for links that cannot carry large messages: splits what exceeds `chunk_size`, in both directions.
//
//   my_channel link{…};                                   // any generic_channel
//   chunked_channel chunked{link, {.chunk_size = 16'000}};
//   event_bus<events> bus{chunked};
//
// Both ends of the link must be wrapped. Small messages pass whole; the chunks of several messages, and small messages
// between them, may come in any order. An invalid chunk is reported as an error of the channel: its calls under way
// fail with `protocol_error`; messages that come later are not affected. What a link that goes down leaves unfinished
// is dropped. docs/design.md has the states.
#pragma once

#include <cluster_channel/channels/chunk_options.hpp>
#include <cluster_channel/channels/generic_channel.hpp>

namespace cluster_channel {

class chunked_channel final : public channel {
public:
  /// Makes `link` split and join from now on. To be called before it is connected and before it serves a bus.
  /// @param link must live until a bus is made with this channel, and may then be destroyed before or after this.
  /// @throws std::invalid_argument if an option is unusable, std::logic_error if `link` serves a bus or is wrapped.
  explicit chunked_channel(generic_channel& link, const chunk_options& options = {});

  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override;
  void undo_connect(const channel_listener& listener) override;

private:
  generic_channel& link_;
};

} // namespace cluster_channel
