#include <cluster_channel/serialization/frame.hpp>
#include <cluster_channel/serialization/frame_format.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

namespace cluster_channel {

namespace {

using namespace detail;

// Each message is described once, as a sequence of fields; one visitor adds up their size, the other writes them.

template <class T>
struct integer {
  T value;
};
template <class T>
integer(T) -> integer<T>; // clang 14 does not deduce it for an aggregate

template <class Length>
struct text {
  std::string_view value;
};

using short_text = text<std::uint16_t>;
using long_text = text<std::uint32_t>;

struct raw {
  bytes_view value;
};

struct item_count {
  std::size_t value;
};

class size_counter {
public:
  template <class T>
  void operator()(integer<T>) {
    size_ += sizeof(T);
  }
  template <class Length>
  void operator()(text<Length> x) {
    if (x.value.size() > std::numeric_limits<Length>::max())
      problem_ = "a name in the message is longer than 65535 bytes";
    size_ += sizeof(Length) + x.value.size();
  }
  void operator()(raw x) { size_ += x.value.size(); }
  void operator()(item_count x) {
    if (x.value > frame_items_max)
      problem_ = "the message lists more than " + std::to_string(frame_items_max) + " slots";
    size_ += sizeof(std::uint32_t);
  }

  std::size_t size() const noexcept { return size_; }

  /// What does not fit the format; empty if all does.
  const std::string& problem() const noexcept { return problem_; }

private:
  std::size_t size_ = 0;
  std::string problem_;
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
  void operator()(item_count x) { (*this)(integer<std::uint32_t>{static_cast<std::uint32_t>(x.value)}); }

private:
  void put(const void* data, std::size_t size) {
    const auto* first = static_cast<const char*>(data);
    out_.insert(out_.end(), first, first + size);
  }
  std::vector<char>& out_;
};

template <class F>
void fields(F& f, const hello& x) {
  f(integer{frame_type::hello});
  f(raw{as_bytes_view(magic)});
  f(integer{x.version});
  f(short_text{x.codec});
  f(item_count{x.slots.size()});
  for (const auto& slot : x.slots) {
    f(short_text{slot.name});
    f(long_text{slot.signature});
  }
  if (x.version >= version_with_limit)
    f(integer{x.frame_bytes_max});
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
  f(item_count{x.ignored.size()});
  for (const auto& name : x.ignored)
    f(short_text{name});
}

template <class F>
void fields(F& f, const chunk_start& x) {
  f(integer{frame_type::chunk_start});
  f(integer{x.chunk_id});
  f(integer{x.size});
}

template <class F>
void fields(F& f, const chunk_data& x) {
  f(integer{frame_type::chunk_data});
  f(integer{x.chunk_id});
  f(raw{x.data});
}

template <class F>
void fields(F& f, const chunk_end& x) {
  f(integer{frame_type::chunk_end});
  f(integer{x.chunk_id});
}

size_counter count(const message& msg) {
  size_counter result;
  std::visit([&](const auto& x) { fields(result, x); }, msg);
  return result;
}

} // namespace

std::size_t frame_size(const message& msg) {
  return length_bytes + count(msg).size();
}

caf::error write_frame(std::vector<char>& out, const message& msg, std::size_t frame_bytes_max) {
  const auto counter = count(msg);
  if (!counter.problem().empty())
    return make_error(errc::message_too_large, counter.problem());
  if (counter.size() > std::min<std::size_t>(frame_bytes_max, std::numeric_limits<std::uint32_t>::max()))
    return make_error(errc::message_too_large, "the message has " + std::to_string(counter.size()) +
                                                   " bytes, frame_bytes_max is " + std::to_string(frame_bytes_max));
  // Exactly for a single frame; geometrically for many, or each would copy all those before it.
  if (const auto needed = out.size() + length_bytes + counter.size(); needed > out.capacity())
    out.reserve(std::max(needed, 2 * out.capacity()));
  field_writer writer{out};
  writer(integer{static_cast<std::uint32_t>(counter.size())});
  std::visit([&](const auto& x) { fields(writer, x); }, msg);
  return {};
}

} // namespace cluster_channel
