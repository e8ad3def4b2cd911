#include <cluster_channel/channels/chunked_channel.hpp>
#include <cluster_channel/channels/message_link.hpp>
#include <cluster_channel/serialization/error.hpp>

#include <limits>
#include <stdexcept>
#include <string>

namespace cluster_channel {

caf::error validate(const chunk_options& options) {
  const auto refuse = [](const std::string& text) {
    return make_error(errc::invalid_options, "chunked_channel: " + text);
  };
  if (options.chunk_size == 0)
    return refuse("chunk_size is 0, must be 1 byte or more");
  if (options.message_bytes_max < options.chunk_size)
    return refuse("message_bytes_max is " + std::to_string(options.message_bytes_max) +
                  ", must not be less than chunk_size, which is " + std::to_string(options.chunk_size));
  if (options.message_bytes_max > std::numeric_limits<std::uint32_t>::max())
    return refuse("message_bytes_max is " + std::to_string(options.message_bytes_max) +
                  ", must be less than 4 GiB, as a frame is");
  if (options.open_bytes_max < options.message_bytes_max)
    return refuse("open_bytes_max is " + std::to_string(options.open_bytes_max) +
                  ", must not be less than message_bytes_max, which is " + std::to_string(options.message_bytes_max));
  if (options.chunks_open_max == 0)
    return refuse("chunks_open_max is 0, must be 1 or more");
  if (options.stall_timeout <= caf::timespan::zero())
    return refuse("stall_timeout must be more than 0");
  return {};
}

chunked_channel::chunked_channel(generic_channel& link, const chunk_options& options) : link_{link} {
  if (auto err = validate(options))
    throw std::invalid_argument(failure_of(err).text);
  link_.link_->send_in_chunks(options);
}

std::shared_ptr<call_target> chunked_channel::connect(std::shared_ptr<channel_listener> listener) {
  return link_.connect(std::move(listener));
}

void chunked_channel::undo_connect(const channel_listener& listener) {
  link_.undo_connect(listener);
}

} // namespace cluster_channel
