#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/json_parser.hpp>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>

#include <charconv>
#include <string>

namespace cluster_channel::detail {

namespace {

namespace json = boost::json;
using json::error_code;
using json::string_view;

/// What Boost.JSON's parser calls; puts values onto a stack.
class value_builder {
public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  explicit value_builder(std::size_t values_max) : left_{values_max} { stack_.reset(); }

  json::value release() { return stack_.release(); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return count(ec); }
  bool on_object_end(std::size_t size, error_code&) {
    stack_.push_object(size);
    return true;
  }
  bool on_array_begin(error_code& ec) { return count(ec); }
  bool on_array_end(std::size_t size, error_code&) {
    stack_.push_array(size);
    return true;
  }
  bool on_key_part(string_view text, std::size_t, error_code&) {
    stack_.push_chars(text);
    return true;
  }
  bool on_key(string_view text, std::size_t, error_code&) {
    stack_.push_key(text);
    return true;
  }
  bool on_string_part(string_view text, std::size_t, error_code&) {
    stack_.push_chars(text);
    return true;
  }
  bool on_string(string_view text, std::size_t, error_code& ec) {
    stack_.push_string(text);
    return count(ec);
  }
  bool on_number_part(string_view text, error_code&) {
    number_.append(text.data(), text.size());
    return true;
  }
  bool on_int64(std::int64_t x, string_view, error_code& ec) {
    number_.clear();
    stack_.push_int64(x);
    return count(ec);
  }
  bool on_uint64(std::uint64_t x, string_view, error_code& ec) {
    number_.clear();
    stack_.push_uint64(x);
    return count(ec);
  }
  bool on_double(double x, string_view text, error_code& ec) {
    number_.append(text.data(), text.size());
    std::from_chars(number_.data(), number_.data() + number_.size(), x); // out of range: x stays, 0 or infinite
    number_.clear();
    stack_.push_double(x);
    return count(ec);
  }
  bool on_bool(bool x, error_code& ec) {
    stack_.push_bool(x);
    return count(ec);
  }
  bool on_null(error_code& ec) {
    stack_.push_null();
    return count(ec);
  }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

private:
  bool count(error_code& ec) {
    if (left_ == 0) {
      ec = json::error::array_too_large;
      return false;
    }
    --left_;
    return true;
  }

  json::value_stack stack_;
  std::size_t left_;
  std::string number_; // the text of the number that is being read
};

} // namespace

caf::expected<json::value> parse_json(std::string_view text, const json_limits& limits) {
  json::parse_options options;
  options.max_depth = limits.depth_max;
  json::basic_parser<value_builder> parser{options, limits.values_max};
  error_code ec;
  const auto read = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && read < text.size())
    ec = json::error::extra_data;
  if (ec == json::error::array_too_large)
    return make_error(errc::protocol_error, "more than " + std::to_string(limits.values_max) + " values");
  if (ec)
    return make_error(errc::protocol_error, ec.message());
  return parser.handler().release();
}

} // namespace cluster_channel::detail
