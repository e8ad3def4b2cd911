#include <cluster_channel/channels/chunker.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace cluster_channel::detail {

chunker::chunker(const chunk_options& options) : options_{options}, joiner_{options} {
  // Late chunks of a far end must not be taken for those of its successor.
  std::random_device random;
  last_id_ = (static_cast<chunk_id_type>(random()) << 32U) | random();
}

caf::error chunker::send(message&& msg, const std::function<caf::error(message&&)>& send_one) {
  const auto size = frame_size(msg);
  if (size <= options_.chunk_size)
    return send_one(std::move(msg));
  if (size > options_.message_bytes_max)
    return make_error(errc::message_too_large, "the message has " + std::to_string(size) +
                                                   " bytes, message_bytes_max is " +
                                                   std::to_string(options_.message_bytes_max));
  if (auto err = begin_sending(size))
    return err;
  auto result = split(msg, send_one);
  end_sending(size);
  return result;
}

caf::error chunker::split(const message& msg, const std::function<caf::error(message&&)>& send_one) {
  const auto connection = connection_.load();
  std::vector<char> frame;
  if (auto err = write_frame(frame, msg, options_.message_bytes_max))
    return err;
  const auto id = [this] {
    std::lock_guard guard{mutex_};
    return ++last_id_;
  }();
  auto err = send_one(chunk_start{id, frame.size()});
  if (err)
    return err;
  const auto all = std::as_bytes(std::span{frame});
  for (std::size_t at = 0; at < all.size() && !err; at += options_.chunk_size) {
    if (connection != connection_)
      return make_error(errc::connection_closed, "the connection was lost in the middle of the message");
    const auto part = all.subspan(at, std::min(options_.chunk_size, all.size() - at));
    err = send_one(chunk_data{id, {part.begin(), part.end()}});
  }
  if (connection != connection_)
    return make_error(errc::connection_closed, "the connection was lost in the middle of the message");
  // After an error too: the far end shall not wait for the rest.
  auto end_err = send_one(chunk_end{id});
  return err ? err : end_err;
}

caf::error chunker::begin_sending(std::size_t size) {
  std::lock_guard guard{mutex_};
  if (sending_ >= options_.chunks_open_max)
    return make_error(errc::buffer_full, "chunks_open_max messages, " + std::to_string(sending_) +
                                             ", are being sent in chunks: slow down");
  if (size > options_.open_bytes_max - sending_bytes_)
    return make_error(errc::buffer_full, "messages with " + std::to_string(sending_bytes_) +
                                             " bytes are being sent in chunks, open_bytes_max is " +
                                             std::to_string(options_.open_bytes_max) + ": slow down");
  ++sending_;
  sending_bytes_ += size;
  return {};
}

void chunker::end_sending(std::size_t size) {
  std::lock_guard guard{mutex_};
  --sending_;
  sending_bytes_ -= size;
}

chunk_joiner::result chunker::receive(const message& chunk) {
  std::lock_guard guard{mutex_};
  if (const auto* start = std::get_if<chunk_start>(&chunk))
    return joiner_.receive(*start);
  if (const auto* data = std::get_if<chunk_data>(&chunk))
    return joiner_.receive(*data);
  return joiner_.receive(std::get<chunk_end>(chunk));
}

void chunker::link_down() {
  ++connection_;
  std::lock_guard guard{mutex_};
  joiner_.link_down();
}

bool chunker::begin_watch() {
  std::lock_guard guard{mutex_};
  return joiner_.is_open() && !std::exchange(watched_, true);
}

chunker::check_result chunker::check() {
  std::lock_guard guard{mutex_};
  auto stalled = joiner_.drop_stalled();
  watched_ = joiner_.is_open();
  return {std::move(stalled), watched_};
}

} // namespace cluster_channel::detail
