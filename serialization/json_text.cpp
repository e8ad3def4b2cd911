#include <cluster_channel/serialization/error.hpp>
#include <cluster_channel/serialization/json_parser.hpp>
#include <cluster_channel/serialization/json_payload.hpp>

#include <boost/json.hpp>

#include <cmath>
#include <string>

namespace cluster_channel::detail {

namespace {

namespace json = boost::json;

/// Looks at every value until the first problem.
class json_checker {
public:
  explicit json_checker(json_integers integers) : integers_{integers} {}

  bool check(const json::value& x) {
    if (++values_ > json_values_max)
      return fail("more than " + std::to_string(json_values_max) + " values");
    switch (x.kind()) {
    case json::kind::int64:
      return check_integer(x.get_int64());
    case json::kind::uint64:
      return check_integer(x.get_uint64());
    case json::kind::double_:
      return std::isfinite(x.get_double()) || fail(std::to_string(x.get_double()) + " is no JSON number");
    case json::kind::string:
      return check_text(x.get_string());
    case json::kind::array:
      return check_array(x.get_array());
    case json::kind::object:
      return check_object(x.get_object());
    default:
      return true;
    }
  }

  const std::string& problem() const noexcept { return problem_; }

private:
  template <class T>
  bool check_integer(T x) {
    return integers_ == json_integers::all || is_safe_integer(x) || fail(beyond_safe_integers(x));
  }

  bool check_text(json::string_view x) { return is_utf8({x.data(), x.size()}) || fail("a string is no valid UTF-8"); }

  bool check_array(const json::array& xs) {
    if (!enter())
      return false;
    for (const auto& x : xs)
      if (!check(x))
        return false;
    --depth_;
    return true;
  }

  bool check_object(const json::object& xs) {
    if (!enter())
      return false;
    for (const auto& [key, x] : xs)
      if (!check_text(key) || !check(x))
        return false;
    --depth_;
    return true;
  }

  bool enter() {
    return ++depth_ <= json_value_depth_max ||
           fail("arrays and objects nested more than " + std::to_string(json_value_depth_max) + " deep");
  }

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  const json_integers integers_;
  std::size_t values_ = 0;
  std::size_t depth_ = 0;
  std::string problem_;
};

caf::error too_long(std::size_t size) {
  return make_error(errc::bad_payload, "a JSON value has " + std::to_string(size) + " bytes as text, the most is " +
                                           std::to_string(json_value_bytes_max));
}

} // namespace

caf::error check_json(const json::value& x, json_integers integers) {
  json_checker checker{integers};
  return checker.check(x) ? caf::error{} : make_error(errc::bad_payload, checker.problem());
}

caf::error json_to_text(const json::value& x, json_integers integers, std::string& text) {
  if (auto err = check_json(x, integers))
    return err;
  text = json::serialize(x);
  return text.size() <= json_value_bytes_max ? caf::error{} : too_long(text.size());
}

caf::error json_from_text(std::string_view text, json::value& x) {
  if (text.size() > json_value_bytes_max)
    return too_long(text.size());
  auto parsed = parse_json(text, {.depth_max = json_value_depth_max, .values_max = json_values_max});
  if (!parsed)
    return make_error(errc::bad_payload, "the text of a JSON value is no JSON: " + failure_of(parsed.error()).text);
  x = std::move(*parsed);
  return check_json(x, json_integers::all); // a number may be beyond all doubles
}

} // namespace cluster_channel::detail
