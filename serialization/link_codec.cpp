#include <cluster_channel/serialization/link_codec.hpp>

#include <algorithm>

namespace cluster_channel {

namespace {

class binary_link_codec final : public link_codec {
public:
  explicit binary_link_codec(std::size_t message_bytes_max)
      : write_bytes_max_{message_bytes_max}, reader_{message_bytes_max} {}

  caf::error write(std::vector<char>& out, const message& msg) override {
    return write_frame(out, msg, write_bytes_max_);
  }

  void limit_writes(std::size_t bytes_max) override { write_bytes_max_ = std::min(write_bytes_max_, bytes_max); }

  void feed(bytes_view data) override { reader_.feed(data); }
  std::optional<message> next(std::vector<char>&) override { return reader_.next(); }
  const caf::error& error() const noexcept override { return reader_.error(); }
  bool mid_message() const noexcept override { return reader_.mid_frame(); }
  bool has_hello() const noexcept override { return true; }

private:
  std::size_t write_bytes_max_;
  frame_reader reader_;
};

} // namespace

std::unique_ptr<link_codec> make_binary_link_codec(std::size_t message_bytes_max) {
  return std::make_unique<binary_link_codec>(message_bytes_max);
}

} // namespace cluster_channel
