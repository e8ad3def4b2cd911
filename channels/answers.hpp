// The answers of several handlers to one call.
#pragma once

#include <cluster_channel/actors/fan_out.hpp>
#include <cluster_channel/channels/call_state.hpp>

#include <caf/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace cluster_channel {

/// What every handler answered, or why it did not: local handlers in the order of their registration, then the far ends
/// in the order of the bus's channels. In a broadcast a pool's nodes are in the order of their launch, but may be
/// anywhere among the other far ends.
template <class Response>
using answers = std::vector<caf::expected<Response>>;

namespace detail {

/// When a collector is done.
enum class collects : std::uint8_t {
  all,              ///< all answers are there
  to_first_failure, ///< the same, or one of them is a failure: what comes after that is dropped
};

/// Counts the answers to one call; each is kept in a place of its own. Thread-safe. No lock is held while a place or
/// the result of the call is made, filled or destroyed.
class answers_collector : public std::enable_shared_from_this<answers_collector> {
public:
  using place_ptr = std::shared_ptr<answer_sink>;

  explicit answers_collector(collects what) : what_{what} {}
  answers_collector(const answers_collector&) = delete;
  answers_collector& operator=(const answers_collector&) = delete;
  virtual ~answers_collector() = default;

  /// Makes room for one more answer.
  place_ptr open_place();

  /// A place has its answer, or a failure.
  void filled(const failure* why) noexcept;

  /// More places are to come until `release`, once for each `hold`.
  void hold();
  void release() noexcept;

private:
  virtual place_ptr make_place() = 0;

  /// Called once: with the places in their order, and the first failure if there was one. Without places at a failure
  /// that ends the collecting.
  virtual void done(std::vector<place_ptr>&& places, std::optional<failure>&& first) noexcept = 0;

  void finish(std::unique_lock<std::mutex>& guard, std::vector<place_ptr>&& places) noexcept;

  const collects what_;
  std::mutex mutex_;
  std::size_t open_ = 0;
  std::vector<place_ptr> places_; // they hold this collector until they are filled
  std::optional<failure> first_failure_;
  bool done_ = false;
};

/// Ends an event that several handlers got: when all are done, or at the first failure.
class event_collector final : public answers_collector {
public:
  /// Of an event that was sent from here, or by a far end.
  explicit event_collector(std::shared_ptr<answer_sink> to)
      : answers_collector{collects::to_first_failure}, to_{std::move(to)} {}
  explicit event_collector(pending_call_ptr call)
      : answers_collector{collects::to_first_failure}, call_{std::move(call)} {}

private:
  place_ptr make_place() override;
  void done(std::vector<place_ptr>&& places, std::optional<failure>&& first) noexcept override;

  std::shared_ptr<answer_sink> to_; // or
  pending_call_ptr call_;
};

/// Keeps one answer for a collector.
template <class Response>
class answer_place_base : public result_sink<Response> {
public:
  explicit answer_place_base(std::shared_ptr<answers_collector> of) : of_{std::move(of)} {}

  void answered(answer&& x) noexcept final {
    if (auto* data = std::get_if<bytes>(&x)) {
      keep(decode_response<Response>(*data));
      return;
    }
    auto& what = std::get<failure>(x);
    make_telling(what);
    value_.emplace(make_error(what));
    std::exchange(of_, nullptr)->filled(&what);
  }

  caf::expected<Response> take() { return std::move(*value_); }

protected:
  void keep(caf::expected<Response>&& x) noexcept {
    try {
      value_.emplace(std::move(x));
    } catch (...) {
      value_.emplace(make_error(taking_failure("response")));
    }
    if (*value_) {
      std::exchange(of_, nullptr)->filled(nullptr);
    } else {
      const auto why = failure_of(value_->error());
      std::exchange(of_, nullptr)->filled(&why);
    }
  }

private:
  std::shared_ptr<answers_collector> of_;
  std::optional<caf::expected<Response>> value_;
};

template <class Response>
class answer_place final : public answer_place_base<Response> {
public:
  using answer_place_base<Response>::answer_place_base;
  void returned(Response&& x) noexcept override { this->keep(caf::expected<Response>{std::move(x)}); }
};

template <>
class answer_place<void> final : public answer_place_base<void> {
public:
  using answer_place_base<void>::answer_place_base;
};

/// Yields every answer and every failure.
template <class Response>
class settled_collector final : public answers_collector {
public:
  using state = call_state<answers<Response>>;

  explicit settled_collector(std::shared_ptr<state> to) : answers_collector{collects::all}, to_{std::move(to)} {}

private:
  place_ptr make_place() override { return std::make_shared<answer_place<Response>>(shared_from_this()); }

  void done(std::vector<place_ptr>&& places, std::optional<failure>&&) noexcept override {
    answers<Response> all;
    all.reserve(places.size());
    for (auto& each : places)
      all.push_back(static_cast<answer_place<Response>&>(*each).take());
    std::exchange(to_, nullptr)->deliver(caf::expected<answers<Response>>{std::move(all)});
  }

  std::shared_ptr<state> to_;
};

/// Yields the values of all answers, or the first failure.
template <class Response>
class values_collector final : public answers_collector {
public:
  using state = call_state<std::vector<Response>>;

  explicit values_collector(std::shared_ptr<state> to)
      : answers_collector{collects::to_first_failure}, to_{std::move(to)} {}

private:
  place_ptr make_place() override { return std::make_shared<answer_place<Response>>(shared_from_this()); }

  void done(std::vector<place_ptr>&& places, std::optional<failure>&& first) noexcept override {
    const auto to = std::exchange(to_, nullptr);
    if (first) {
      to->answered(std::move(*first));
      return;
    }
    std::vector<Response> all;
    all.reserve(places.size());
    for (auto& each : places)
      all.push_back(std::move(*static_cast<answer_place<Response>&>(*each).take()));
    to->deliver(caf::expected<std::vector<Response>>{std::move(all)});
  }

  std::shared_ptr<state> to_;
};

/// A broadcast of one encoded call.
class answers_fan_out final : public fan_out {
public:
  using make_call = std::function<pending_call_ptr(std::shared_ptr<answer_sink>)>;

  /// @param bytes of the encoded request.
  answers_fan_out(std::shared_ptr<answers_collector> to, make_call make, std::size_t bytes)
      : to_{std::move(to)}, make_{std::move(make)}, bytes_{bytes} {
    to_->hold();
  }

  answers_fan_out(const answers_fan_out&) = delete;
  answers_fan_out& operator=(const answers_fan_out&) = delete;
  ~answers_fan_out() override;

  std::vector<pending_call_ptr> open(std::size_t runs) noexcept override;
  std::size_t bytes() const noexcept override { return bytes_; }

private:
  std::shared_ptr<answers_collector> to_;
  make_call make_;
  std::size_t bytes_;
};

} // namespace detail

} // namespace cluster_channel
