// What can go wrong, as values: the library's one error enum, and the facts that travel with an error.
//
// Every failed call ends with a `caf::error` of category `error_category` whose context is one
// `failure`. Functions here are thread-safe; they hold no state.
#pragma once

#include <caf/atom.hpp>
#include <caf/error.hpp>
#include <caf/meta/type_name.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace cluster_channel {

/// Numbers a node within its master channel; counts up from 1 and is never used again. 0: no node.
using node_id = std::uint64_t;

/// Why a call, a node or a channel failed, sorted by what the caller can do about it.
enum class errc : std::uint8_t {
  none = 0,
  // -- the call never ran -----------------------------------------------------
  invalid_options,   ///< an option is unusable; nothing was launched: correct it
  buffer_full,       ///< the waiting calls reached their count or byte limit: slow down or raise the limit
  channel_closed,    ///< the channel, or the bus, is closed or closing; a call that was under way may have run
  launch_failed,     ///< no child could be started: see the text for the cause
  no_handler,        ///< the far end has no handler for this slot and parameter
  several_handlers,  ///< several handlers would answer one call of a slot that has a response
  message_too_large, ///< the encoded message exceeds `frame_bytes_max`; the call ran if it is the answer that does
  // -- the call may have run --------------------------------------------------
  node_died,      ///< the child died or closed its link while the call ran
  handler_failed, ///< the handler threw or answered with an error: see the text
  timed_out,      ///< no answer in time; a late one is dropped
  broken_promise, ///< the handler dropped its promise without answering
  // -- the two ends disagree --------------------------------------------------
  bad_payload,       ///< the bytes of a request or response do not decode as the slot's type
  protocol_error,    ///< the far end sent bytes that are no valid frame
  protocol_mismatch, ///< versions, codecs or slot types of the two ends differ
  // What follows came later; the numbers travel in messages, so it stands here.
  // -- the call never ran -----------------------------------------------------
  channel_not_ready, ///< the channel is not connected, and cannot or shall not connect for a call
  event_ignored,     ///< the bus called on, or the one at the far end, takes no part in this slot
  // -- the call may have run --------------------------------------------------
  connection_closed, ///< the channel was disconnected, or failed as a whole, while the call was under way
};

/// The enumerator's name, e.g. `"buffer_full"`.
std::string to_string(errc code);

/// The facts of one failure. Text fields are empty and numbers hold their defaults where unknown.
struct failure {
  errc code = errc::none;
  std::string slot{};                 ///< name of the called slot
  std::string param{};                ///< its parameter
  std::string text{};                 ///< the cause in words, complete on its own
  std::string stack{};                ///< the far end's stack trace, if it sent one
  node_id node = 0;                   ///< the node that ran the call; 0: none did
  std::int32_t pid = 0;               ///< its process id; 0: unknown
  std::int32_t exit_code = -1;        ///< exit code 0..255 if it exited; -1: it did not, or not known
  std::int32_t signal = 0;            ///< signal number if one killed it; 0: none did, or not known
  std::chrono::nanoseconds ran_for{}; ///< time between hand-over to the node and the failure

  friend bool operator==(const failure&, const failure&) = default;
};

/// Makes a failure of one that has no code, as an empty `caf::error` does not: `code`, and a text that says so.
/// Whatever fails a call goes through this, so that every failed call has an error.
void make_telling(failure& what, errc code = errc::handler_failed);

/// Longest `text` and `stack` that travel to or from a far end, in bytes: a longer one is cut, and its end says so.
inline constexpr std::size_t failure_text_bytes_max = std::size_t{64} << 10;

/// The same for a text with which many calls may fail at once: why a node or its start was lost.
inline constexpr std::size_t cause_text_bytes_max = std::size_t{4} << 10;

/// `text`, or as much of it as `bytes_max` allow and how long it was: `... [cut, 6000000 bytes in all]`. It is cut
/// between two characters of UTF-8.
std::string capped(std::string text, std::size_t bytes_max = failure_text_bytes_max);

/// Caps the texts of `what`.
void cap_texts(failure& what, std::size_t bytes_max = failure_text_bytes_max);

/// One line for people: the text, then slot, parameter, node, pid and duration where known.
std::string to_string(const failure& what);

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, failure& x) {
  auto code = static_cast<std::uint8_t>(x.code);
  auto ran_for = static_cast<std::int64_t>(x.ran_for.count());
  if constexpr (Inspector::writes_state) {
    auto result = f(caf::meta::type_name("cluster_channel::failure"), code, x.slot, x.param, x.text, x.stack, x.node,
                    x.pid, x.exit_code, x.signal, ran_for);
    x.code = static_cast<errc>(code);
    x.ran_for = std::chrono::nanoseconds{ran_for};
    return result;
  } else {
    return f(caf::meta::type_name("cluster_channel::failure"), code, x.slot, x.param, x.text, x.stack, x.node, x.pid,
             x.exit_code, x.signal, ran_for);
  }
}

/// Category of every `caf::error` this library makes.
inline constexpr caf::atom_value error_category = caf::atom("cluster");

/// An error whose code is `what.code` and whose context is `what`.
caf::error make_error(failure what);

/// Short for `make_error(failure{.code = code, .text = std::move(text)})`.
caf::error make_error(errc code, std::string text);

/// The facts behind `err`. An error of another category (CAF's own, or a user's actor's) becomes
/// `handler_failed` with CAF's rendering as its text; CAF's request timeout becomes `timed_out`.
failure failure_of(const caf::error& err);

/// The code behind `err`, `errc::none` if there is no error.
errc code_of(const caf::error& err);

/// `to_string(failure_of(err))`; the empty string if there is no error.
std::string describe(const caf::error& err);

} // namespace cluster_channel
