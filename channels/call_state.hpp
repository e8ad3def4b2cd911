// Where the result of a call arrives, and waits to be taken.
//
// Users see call.hpp. Thread-safe.
#pragma once

#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/actors/pending_call.hpp>
#include <cluster_channel/serialization/codec.hpp>

#include <caf/expected.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace cluster_channel::detail {

class link_reader;

/// Takes an answer in either form: encoded, as far ends send it, or as the value that a handler here returned.
template <class Response>
class result_sink : public answer_sink {
public:
  virtual void returned(Response&& x) noexcept = 0;
};

/// No value but that there is one, which is an answer without bytes.
template <>
class result_sink<void> : public answer_sink {};

/// Within a catch block: why `what`, a request or a response, cannot be encoded.
failure encoding_failure(const char* what);

/// Within a catch block: why it cannot be taken in.
failure taking_failure(const char* what);

/// The response that `data` stands for. Throws nothing.
template <class Response>
caf::expected<Response> decode_response(const bytes& data) noexcept {
  try {
    if constexpr (!std::is_void_v<Response>)
      return decode<Response>(data);
    else if (data.empty())
      return caf::unit;
    else
      return make_error(errc::bad_payload,
                        "a response without data was expected, " + std::to_string(data.size()) + " bytes came");
  } catch (...) {
    return make_error(taking_failure("response"));
  }
}

/// Whether a call has ended, and who waits for that.
class call_progress {
public:
  /// For whoever ends the call: the first one may, and calls `settle` once the result is in its place.
  bool claim() noexcept { return !claimed_.exchange(true, std::memory_order_acq_rel); }

  /// Wakes who waits for the result.
  void settle() noexcept;

  /// Calls `f` once the result is there, at once if it is; on the thread that ends the call.
  void on_done(std::function<void()> f);

  /// Waits until the result is there, or `deadline` is. @returns whether it is.
  bool wait_until(std::optional<std::chrono::steady_clock::time_point> deadline);

  /// Whether this process is a forked copy of the one that made the call: what ends it is in the original.
  bool is_cut_off() const noexcept { return mark_.in_copy(); }

private:
  bool is_done() const;
  bool read_until(link_reader& reader, std::optional<std::chrono::steady_clock::time_point> deadline);

  const fork_mark mark_;
  std::atomic<bool> claimed_{false};
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  bool done_ = false;
  std::function<void()> continuation_;
};

/// Shared between the caller and whoever answers.
template <class Response>
class call_state : public result_sink<Response> {
public:
  using result = caf::expected<Response>;

  void answered(answer&& x) noexcept final {
    if (!progress_.claim())
      return;
    if (auto* what = std::get_if<failure>(&x))
      make_telling(*what);
    value_.template emplace<answer>(std::move(x));
    progress_.settle();
  }

  /// The result, made here. The first end counts: a call may run out of time while its local handler still works.
  void deliver(result&& x) noexcept {
    if (!progress_.claim())
      return;
    try {
      value_.template emplace<result>(std::move(x));
    } catch (...) {
      value_.template emplace<answer>(taking_failure("response"));
    }
    progress_.settle();
  }

  void on_done(std::function<void()> f) { progress_.on_done(std::move(f)); }

  bool wait_until(std::optional<std::chrono::steady_clock::time_point> deadline) {
    return progress_.wait_until(deadline);
  }

  /// The result; to be taken once, after it is there. What came encoded is decoded by the thread that takes it.
  result take() {
    if (progress_.is_cut_off())
      return make_error(errc::channel_closed, "this process is a forked copy of the one that made the call");
    auto value = std::exchange(value_, std::monostate{});
    if (auto* direct = std::get_if<result>(&value))
      return std::move(*direct);
    if (auto* encoded = std::get_if<answer>(&value)) {
      if (auto* data = std::get_if<bytes>(encoded))
        return decoded(*data);
      return make_error(std::move(std::get<failure>(*encoded)));
    }
    return make_error(errc::broken_promise, "the result of this call was taken before");
  }

private:
  virtual result decoded(const bytes&) {
    return make_error(errc::bad_payload, "this result is put together here and has no encoded form");
  }

  call_progress progress_;
  std::variant<std::monostate, answer, result> value_; // written by who claims, read by who takes
};

/// That of a call with one answer.
template <class Response>
class answer_state final : public call_state<Response> {
public:
  void returned(Response&& x) noexcept override { this->deliver(caf::expected<Response>{std::move(x)}); }

private:
  caf::expected<Response> decoded(const bytes& data) override { return decode_response<Response>(data); }
};

template <>
class answer_state<void> final : public call_state<void> {
private:
  caf::expected<void> decoded(const bytes& data) override { return decode_response<void>(data); }
};

/// That of a call whose result is put together here.
template <class Result>
class made_state final : public call_state<Result> {
public:
  void returned(Result&& x) noexcept override { this->deliver(caf::expected<Result>{std::move(x)}); }
};

} // namespace cluster_channel::detail
