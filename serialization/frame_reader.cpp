#include <cluster_channel/serialization/frame.hpp>
#include <cluster_channel/serialization/frame_format.hpp>

#include <cstring>
#include <string>
#include <utility>

namespace cluster_channel {

namespace {

using namespace detail;

/// A buffer beyond this is given back once most of it was read, in bytes.
constexpr std::size_t kept_bytes = std::size_t{1} << 20;

/// Reads the fields of one frame's body. After the first that is wrong, all that follow are empty.
class field_reader {
public:
  explicit field_reader(bytes_view body) : rest_{body} {}

  bool ok() const noexcept { return problem_.empty(); }
  std::size_t left() const noexcept { return rest_.size(); }
  const std::string& problem() const noexcept { return problem_; }

  void fail(std::string problem) {
    if (ok())
      problem_ = std::move(problem);
  }

  template <class T>
  T integer() {
    T result{};
    if (const auto data = take(sizeof result); ok())
      std::memcpy(&result, data.data(), sizeof result);
    return result;
  }

  template <class Length = std::uint16_t>
  std::string text() {
    const auto size = integer<Length>();
    return std::string{as_text(take(size))};
  }

  /// The number of items that follow. They are not to be allocated before they are read: it is only a claim.
  std::uint32_t item_count() {
    const auto result = integer<std::uint32_t>();
    if (result > frame_items_max)
      fail("that lists " + std::to_string(result) + " slots, more than " + std::to_string(frame_items_max));
    return ok() ? result : 0;
  }

  bytes rest() {
    const auto data = take(rest_.size());
    return {data.begin(), data.end()};
  }

  bytes_view take(std::size_t size) {
    if (size > rest_.size())
      fail("that ends in the middle of a field");
    if (!ok())
      return {};
    const auto result = rest_.first(size);
    rest_ = rest_.subspan(size);
    return result;
  }

private:
  bytes_view rest_;
  std::string problem_;
};

hello read_hello(field_reader& in) {
  hello result;
  if (as_text(in.take(magic.size())) != magic)
    in.fail("that is a hello without the magic number");
  result.version = in.integer<std::uint16_t>();
  if (result.version > protocol_version) { // only a reader of that version knows what follows
    in.take(in.left());
    return result;
  }
  result.codec = in.text();
  for (auto left = in.item_count(); left > 0 && in.ok(); --left) {
    slot_declaration slot;
    slot.name = in.text();
    slot.signature = in.text<std::uint32_t>();
    result.slots.push_back(std::move(slot));
  }
  if (result.version >= version_with_limit)
    result.frame_bytes_max = in.integer<std::uint32_t>();
  return result;
}

request read_request(field_reader& in) {
  request result;
  result.id = in.integer<call_id>();
  result.slot = in.text();
  result.param = in.text();
  result.data = in.rest();
  return result;
}

response read_response(field_reader& in) {
  response result;
  result.id = in.integer<call_id>();
  result.data = in.rest();
  return result;
}

error_message read_error(field_reader& in) {
  error_message result;
  result.id = in.integer<call_id>();
  result.what.code = in.integer<errc>();
  // A code of a later version: what remains is that the handler failed.
  if (result.what.code == errc::none || result.what.code > errc::connection_closed)
    result.what.code = errc::handler_failed;
  result.what.text = in.text<std::uint32_t>();
  result.what.stack = in.text<std::uint32_t>();
  return result;
}

template <class Registration>
Registration read_registration(field_reader& in) {
  Registration result;
  result.slot = in.text();
  result.param = in.text();
  return result;
}

event_list read_event_list(field_reader& in) {
  event_list result;
  for (auto left = in.item_count(); left > 0 && in.ok(); --left)
    result.ignored.push_back(in.text());
  return result;
}

chunk_start read_chunk_start(field_reader& in) {
  chunk_start result;
  result.chunk_id = in.integer<chunk_id_type>();
  result.size = in.integer<std::uint64_t>();
  return result;
}

chunk_data read_chunk_data(field_reader& in) {
  chunk_data result;
  result.chunk_id = in.integer<chunk_id_type>();
  result.data = in.rest();
  return result;
}

message read_message(field_reader& in) {
  const auto type = in.integer<frame_type>();
  switch (type) {
  case frame_type::hello:
    return read_hello(in);
  case frame_type::request:
    return read_request(in);
  case frame_type::response:
    return read_response(in);
  case frame_type::error:
    return read_error(in);
  case frame_type::handler_registered:
    return read_registration<handler_registered>(in);
  case frame_type::handler_unregistered:
    return read_registration<handler_unregistered>(in);
  case frame_type::event_list:
    return read_event_list(in);
  case frame_type::chunk_start:
    return read_chunk_start(in);
  case frame_type::chunk_data:
    return read_chunk_data(in);
  case frame_type::chunk_end:
    return chunk_end{in.integer<chunk_id_type>()};
  }
  in.fail("of unknown type " + std::to_string(static_cast<int>(type)));
  return {};
}

} // namespace

frame_reader::frame_reader(std::size_t frame_bytes_max) : frame_bytes_max_{frame_bytes_max} {
  // nop
}

void frame_reader::feed(bytes_view data) {
  if (error_)
    return;
  // Moves no more bytes than were read since the last time, so that each byte is moved once on average.
  if (position_ >= buffer_.size() - position_) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(position_));
    consumed_ += position_;
    position_ = 0;
  }
  buffer_.insert(buffer_.end(), data.begin(), data.end());
}

std::optional<message> frame_reader::next() {
  if (error_)
    return std::nullopt;
  const auto unread = bytes_view{buffer_}.subspan(position_);
  if (unread.size() < length_bytes)
    return std::nullopt;
  const auto length = field_reader{unread}.integer<std::uint32_t>();
  if (length > frame_bytes_max_)
    return fail("a frame of " + std::to_string(length) + " bytes, frame_bytes_max is " +
                std::to_string(frame_bytes_max_));
  if (length == 0)
    return fail("an empty frame");
  if (unread.size() - length_bytes < length)
    return std::nullopt;

  field_reader in{unread.subspan(length_bytes, length)};
  auto result = read_message(in);
  if (in.left() > 0)
    in.fail("with " + std::to_string(in.left()) + " bytes too many");
  if (!in.ok())
    return fail("a frame " + in.problem());
  position_ += length_bytes + length;
  give_back();
  return result;
}

void frame_reader::give_back() {
  const auto unread = buffer_.size() - position_;
  if (buffer_.capacity() <= kept_bytes || unread > buffer_.capacity() / 4)
    return;
  consumed_ += position_;
  buffer_ = bytes(buffer_.begin() + static_cast<std::ptrdiff_t>(position_), buffer_.end());
  position_ = 0;
}

std::optional<message> frame_reader::fail(std::string text) {
  error_ =
      make_error(errc::protocol_error, text + ", at byte " + std::to_string(consumed_ + position_) + " of the stream");
  buffer_ = {};
  position_ = 0;
  return std::nullopt;
}

} // namespace cluster_channel
