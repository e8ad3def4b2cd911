#include <cluster_channel/serialization/frame.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

namespace cluster_channel {

namespace {

static_assert(std::endian::native == std::endian::little, "integers are written as they lie in memory");

constexpr std::string_view magic = "CLCH";
constexpr std::size_t length_bytes = sizeof(std::uint32_t);

/// A buffer larger than this is given back when all of it was read, in bytes.
constexpr std::size_t kept_bytes = std::size_t{1} << 20;

enum class frame_type : std::uint8_t {
  hello = 1,
  request = 2,
  response = 3,
  error = 4,
  handler_registered = 5,
  handler_unregistered = 6,
  event_list = 7,
};

// -- writing ------------------------------------------------------------------
// Each message is described once, as a sequence of fields; one visitor adds up their size, the other writes them.

template <class T>
struct integer {
  T value;
};

template <class Length>
struct text {
  std::string_view value;
};

using short_text = text<std::uint16_t>;
using long_text = text<std::uint32_t>;

struct raw {
  bytes_view value;
};

class size_counter {
public:
  template <class T>
  void operator()(integer<T>) {
    size_ += sizeof(T);
  }
  template <class Length>
  void operator()(text<Length> x) {
    fits_ = fits_ && x.value.size() <= std::numeric_limits<Length>::max();
    size_ += sizeof(Length) + x.value.size();
  }
  void operator()(raw x) { size_ += x.value.size(); }

  std::size_t size() const noexcept { return size_; }
  bool fits() const noexcept { return fits_; }

private:
  std::size_t size_ = 0;
  bool fits_ = true;
};

class field_writer {
public:
  explicit field_writer(std::vector<char>& out) : out_{out} {}

  template <class T>
  void operator()(integer<T> x) {
    put(&x.value, sizeof x.value);
  }
  template <class Length>
  void operator()(text<Length> x) {
    (*this)(integer<Length>{static_cast<Length>(x.value.size())});
    put(x.value.data(), x.value.size());
  }
  void operator()(raw x) { put(x.value.data(), x.value.size()); }

private:
  void put(const void* data, std::size_t size) {
    const auto* first = static_cast<const char*>(data);
    out_.insert(out_.end(), first, first + size);
  }
  std::vector<char>& out_;
};

template <class F>
void count_field(F& f, std::size_t n) {
  // More than a count can say does not fit its frame either: each item takes at least two bytes of at most 4 GiB.
  f(integer<std::uint32_t>{static_cast<std::uint32_t>(n)});
}

template <class F>
void fields(F& f, const hello& x) {
  f(integer{frame_type::hello});
  f(raw{as_bytes_view(magic)});
  f(integer{x.version});
  f(short_text{x.codec});
  count_field(f, x.slots.size());
  for (const auto& slot : x.slots) {
    f(short_text{slot.name});
    f(long_text{slot.signature});
  }
}

template <class F>
void fields(F& f, const request& x) {
  f(integer{frame_type::request});
  f(integer{x.id});
  f(short_text{x.slot});
  f(short_text{x.param});
  f(raw{x.data});
}

template <class F>
void fields(F& f, const response& x) {
  f(integer{frame_type::response});
  f(integer{x.id});
  f(raw{x.data});
}

template <class F>
void fields(F& f, const error_message& x) {
  f(integer{frame_type::error});
  f(integer{x.id});
  f(integer{x.what.code});
  f(long_text{x.what.text});
  f(long_text{x.what.stack});
}

template <class F>
void fields(F& f, const handler_registered& x) {
  f(integer{frame_type::handler_registered});
  f(short_text{x.slot});
  f(short_text{x.param});
}

template <class F>
void fields(F& f, const handler_unregistered& x) {
  f(integer{frame_type::handler_unregistered});
  f(short_text{x.slot});
  f(short_text{x.param});
}

template <class F>
void fields(F& f, const event_list& x) {
  f(integer{frame_type::event_list});
  count_field(f, x.ignored.size());
  for (const auto& name : x.ignored)
    f(short_text{name});
}

// -- reading ------------------------------------------------------------------

/// Reads the fields of one frame's body. After the first that is not there, `ok` is false and all are empty.
class field_reader {
public:
  explicit field_reader(bytes_view body) : rest_{body} {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return ok_ && rest_.empty(); }
  std::size_t left() const noexcept { return rest_.size(); }

  template <class T>
  T integer() {
    T result{};
    const auto data = take(sizeof result);
    if (ok_)
      std::memcpy(&result, data.data(), sizeof result);
    return result;
  }

  template <class Length = std::uint16_t>
  std::string text() {
    const auto size = integer<Length>();
    return std::string{as_text(take(size))};
  }

  bytes rest() {
    const auto data = take(rest_.size());
    return {data.begin(), data.end()};
  }

  bytes_view take(std::size_t size) {
    ok_ = ok_ && size <= rest_.size();
    if (!ok_)
      return {};
    const auto result = rest_.first(size);
    rest_ = rest_.subspan(size);
    return result;
  }

private:
  bytes_view rest_;
  bool ok_ = true;
};

hello read_hello(field_reader& in) {
  hello result;
  result.version = in.integer<std::uint16_t>();
  result.codec = in.text();
  // Not reserved: the count is not to be believed before the items are there.
  for (auto left = in.integer<std::uint32_t>(); left > 0 && in.ok(); --left) {
    slot_declaration slot;
    slot.name = in.text();
    slot.signature = in.text<std::uint32_t>();
    result.slots.push_back(std::move(slot));
  }
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
  if (result.what.code == errc::none || result.what.code > errc::protocol_mismatch)
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
  for (auto left = in.integer<std::uint32_t>(); left > 0 && in.ok(); --left)
    result.ignored.push_back(in.text());
  return result;
}

} // namespace

caf::error write_frame(std::vector<char>& out, const message& msg, std::size_t frame_bytes_max) {
  size_counter counter;
  std::visit([&](const auto& x) { fields(counter, x); }, msg);
  if (!counter.fits())
    return make_error(errc::message_too_large, "a name in the message is longer than 65535 bytes");
  if (counter.size() > std::min<std::size_t>(frame_bytes_max, std::numeric_limits<std::uint32_t>::max()))
    return make_error(errc::message_too_large, "the message has " + std::to_string(counter.size()) +
                                                   " bytes, frame_bytes_max is " + std::to_string(frame_bytes_max));
  // Grows geometrically: reserving exactly for every frame would copy the buffer for every frame.
  if (const auto needed = out.size() + length_bytes + counter.size(); needed > out.capacity())
    out.reserve(std::max(needed, 2 * out.capacity()));
  field_writer writer{out};
  writer(integer{static_cast<std::uint32_t>(counter.size())});
  std::visit([&](const auto& x) { fields(writer, x); }, msg);
  return {};
}

frame_reader::frame_reader(std::size_t frame_bytes_max) : frame_bytes_max_{frame_bytes_max} {
  // nop
}

void frame_reader::feed(bytes_view data) {
  if (error_)
    return;
  if (position_ == buffer_.size() && buffer_.capacity() > kept_bytes)
    buffer_ = {};
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(position_));
  consumed_ += position_;
  position_ = 0;
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
  if (unread.size() - length_bytes < length)
    return std::nullopt;

  field_reader in{unread.subspan(length_bytes, length)};
  const auto type = in.integer<frame_type>();
  message result;
  switch (type) {
  case frame_type::hello:
    if (as_text(in.take(magic.size())) != magic)
      return fail("a hello without the magic number");
    result = read_hello(in);
    break;
  case frame_type::request:
    result = read_request(in);
    break;
  case frame_type::response:
    result = read_response(in);
    break;
  case frame_type::error:
    result = read_error(in);
    break;
  case frame_type::handler_registered:
    result = read_registration<handler_registered>(in);
    break;
  case frame_type::handler_unregistered:
    result = read_registration<handler_unregistered>(in);
    break;
  case frame_type::event_list:
    result = read_event_list(in);
    break;
  default:
    return fail(in.ok() ? "a frame of unknown type " + std::to_string(static_cast<int>(type)) : "an empty frame");
  }
  if (!in.ok())
    return fail("a frame of type " + std::to_string(static_cast<int>(type)) + " that ends in the middle of a field");
  if (!in.at_end())
    return fail("a frame of type " + std::to_string(static_cast<int>(type)) + " with " + std::to_string(in.left()) +
                " bytes too many");
  position_ += length_bytes + length;
  return result;
}

std::optional<message> frame_reader::fail(std::string text) {
  error_ =
      make_error(errc::protocol_error, text + ", at byte " + std::to_string(consumed_ + position_) + " of the stream");
  buffer_ = {};
  position_ = 0;
  return std::nullopt;
}

} // namespace cluster_channel
