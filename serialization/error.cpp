#include <cluster_channel/serialization/error.hpp>

#include <caf/deep_to_string.hpp>
#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

#include <algorithm>
#include <utility>

namespace cluster_channel {

namespace {

std::string name_of_foreign(const caf::error& err) {
  if (err.category() == caf::atom("system"))
    return caf::to_string(static_cast<caf::sec>(err.code()));
  if (err.category() == caf::atom("exit"))
    return caf::to_string(static_cast<caf::exit_reason>(err.code()));
  return caf::to_string(err.category()) + " error " + std::to_string(err.code());
}

/// What CAF's own errors and those of a user's actors say, without the help of an actor system.
std::string text_of(const caf::error& err, const std::string& name) {
  const auto& context = err.context();
  if (context.empty())
    return name;
  if (!context.match_elements<std::string>())
    return name + caf::to_string(context);
  // The text of a thrown exception says more than that there was one.
  const auto& text = context.get_as<std::string>(0);
  return err == caf::sec::runtime_error ? text : name + ": " + text;
}

errc code_of_foreign(const caf::error& err) {
  if (err == caf::sec::request_timeout)
    return errc::timed_out;
  if (err == caf::sec::request_receiver_down)
    return errc::channel_closed;
  return errc::handler_failed;
}

} // namespace

std::string to_string(errc code) {
  switch (code) {
  case errc::none:
    return "none";
  case errc::invalid_options:
    return "invalid_options";
  case errc::buffer_full:
    return "buffer_full";
  case errc::channel_closed:
    return "channel_closed";
  case errc::launch_failed:
    return "launch_failed";
  case errc::no_handler:
    return "no_handler";
  case errc::several_handlers:
    return "several_handlers";
  case errc::message_too_large:
    return "message_too_large";
  case errc::node_died:
    return "node_died";
  case errc::handler_failed:
    return "handler_failed";
  case errc::timed_out:
    return "timed_out";
  case errc::broken_promise:
    return "broken_promise";
  case errc::bad_payload:
    return "bad_payload";
  case errc::protocol_error:
    return "protocol_error";
  case errc::protocol_mismatch:
    return "protocol_mismatch";
  case errc::channel_not_ready:
    return "channel_not_ready";
  case errc::event_ignored:
    return "event_ignored";
  case errc::connection_closed:
    return "connection_closed";
  }
  return "unknown error " + std::to_string(static_cast<int>(code));
}

void make_telling(failure& what, errc code) {
  if (what.code != errc::none)
    return;
  what.code = code;
  if (what.text.empty())
    what.text = "it failed without saying why: its error is an empty caf::error";
}

std::string capped(std::string text, std::size_t bytes_max) {
  if (text.size() <= bytes_max)
    return text;
  const auto mark = "... [cut, " + std::to_string(text.size()) + " bytes in all]";
  auto kept = bytes_max - std::min(bytes_max, mark.size());
  while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xC0U) == 0x80U)
    --kept;
  return text.substr(0, kept) + mark;
}

void cap_texts(failure& what, std::size_t bytes_max) {
  what.text = capped(std::move(what.text), bytes_max);
  what.stack = capped(std::move(what.stack), bytes_max);
}

std::string to_string(const failure& what) {
  std::string result = to_string(what.code) + ": " + what.text;
  std::string facts;
  const auto add = [&](const std::string& fact) { facts += (facts.empty() ? "" : ", ") + fact; };
  if (!what.slot.empty()) {
    add("slot " + what.slot);
    add("param " + what.param);
  }
  if (what.node != 0)
    add("node " + std::to_string(what.node));
  if (what.pid != 0)
    add("pid " + std::to_string(what.pid));
  if (what.exit_code >= 0)
    add("exit code " + std::to_string(what.exit_code));
  if (what.signal != 0)
    add("signal " + std::to_string(what.signal));
  if (what.ran_for.count() > 0)
    add("ran for " + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(what.ran_for).count()) +
        " us");
  if (!facts.empty())
    result += " (" + facts + ")";
  if (!what.stack.empty())
    result += "\n" + what.stack;
  return result;
}

caf::error make_error(failure what) {
  const auto code = static_cast<std::uint8_t>(what.code);
  return {code, error_category, caf::make_message(std::move(what))};
}

caf::error make_error(errc code, std::string text) {
  failure what;
  what.code = code;
  what.text = std::move(text);
  return make_error(std::move(what));
}

failure failure_of(const caf::error& err) {
  failure result;
  if (!err)
    return result;
  if (err.category() == error_category) {
    if (err.context().match_elements<failure>())
      return err.context().get_as<failure>(0);
    result.code = static_cast<errc>(err.code());
    result.text = text_of(err, to_string(result.code));
    return result;
  }
  result.code = code_of_foreign(err);
  result.text = text_of(err, name_of_foreign(err));
  return result;
}

errc code_of(const caf::error& err) {
  if (!err)
    return errc::none;
  return err.category() == error_category ? static_cast<errc>(err.code()) : code_of_foreign(err);
}

std::string describe(const caf::error& err) {
  return err ? to_string(failure_of(err)) : std::string{};
}

} // namespace cluster_channel
