// The answers of several handlers to one call.
#pragma once

#include <cluster_channel/actors/fan_out.hpp>
#include <cluster_channel/channels/call.hpp>

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

/// Collects answers. Thread-safe.
template <class Response>
class answers_collector : public std::enable_shared_from_this<answers_collector<Response>> {
public:
  using result = caf::expected<Response>;

  /// Called once with the answers and the first failure in time, if there was one; without answers at a failure that
  /// ends the collecting.
  using done_function = std::function<void(answers<Response>&&, caf::error&&)>;

  answers_collector(collects what, done_function done) : what_{what}, done_{std::move(done)} {}

  /// Makes room for one more answer. @returns its place.
  std::size_t open_place() {
    std::lock_guard guard{mutex_};
    ++open_;
    places_.emplace_back();
    return places_.size() - 1;
  }

  void answered(std::size_t place, result&& x) {
    std::unique_lock guard{mutex_};
    if (!x && !first_error_)
      first_error_ = x.error();
    const auto fails = !x && what_ == collects::to_first_failure && done_;
    places_[place] = std::move(x);
    if (fails) {
      const auto done = std::exchange(done_, nullptr);
      auto error = first_error_;
      guard.unlock();
      done({}, std::move(error));
      guard.lock();
    }
    end_one(guard);
  }

  /// More places are to come until `release`, once for each `hold`.
  void hold() {
    std::lock_guard guard{mutex_};
    ++open_;
  }

  void release() {
    std::unique_lock guard{mutex_};
    end_one(guard);
  }

private:
  void end_one(std::unique_lock<std::mutex>& guard) {
    if (--open_ > 0 || !done_)
      return;
    answers<Response> all;
    for (auto& place : places_)
      all.push_back(std::move(*place));
    auto done = std::exchange(done_, nullptr);
    auto error = std::move(first_error_);
    guard.unlock();
    done(std::move(all), std::move(error));
  }

  const collects what_;
  std::mutex mutex_;
  std::size_t open_ = 0;
  std::vector<std::optional<result>> places_;
  caf::error first_error_;
  done_function done_;
};

/// Hands an answer from a far end to a collector.
template <class Response>
class answers_sink final : public answer_sink {
public:
  explicit answers_sink(std::shared_ptr<answers_collector<Response>> to)
      : to_{std::move(to)}, place_{to_->open_place()} {}

  void answered(answer&& x) noexcept override {
    if (auto* data = std::get_if<bytes>(&x))
      to_->answered(place_, decode_response<Response>(*data));
    else
      to_->answered(place_, make_error(std::move(std::get<failure>(x))));
  }

private:
  std::shared_ptr<answers_collector<Response>> to_;
  std::size_t place_;
};

/// Makes a broadcast of one prepared call.
template <class Response>
class answers_fan_out final : public fan_out {
public:
  using make_call = std::function<pending_call_ptr(std::shared_ptr<answer_sink>)>;

  /// @param bytes of the encoded request.
  answers_fan_out(std::shared_ptr<answers_collector<Response>> to, make_call make, std::size_t bytes)
      : to_{std::move(to)}, make_{std::move(make)}, bytes_{bytes} {
    to_->hold();
  }

  answers_fan_out(const answers_fan_out&) = delete;
  answers_fan_out& operator=(const answers_fan_out&) = delete;

  ~answers_fan_out() override {
    if (make_)
      open_now(1); // ends with channel_closed, as nobody takes it
  }

  std::vector<pending_call_ptr> open(std::size_t runs) noexcept override { return open_now(runs); }
  std::size_t bytes() const noexcept override { return bytes_; }

private:
  std::vector<pending_call_ptr> open_now(std::size_t runs) {
    std::vector<pending_call_ptr> result;
    const auto make = std::exchange(make_, nullptr);
    for (std::size_t i = 0; i < runs; ++i)
      result.push_back(make(std::make_shared<answers_sink<Response>>(to_)));
    to_->release();
    return result;
  }

  std::shared_ptr<answers_collector<Response>> to_;
  make_call make_;
  std::size_t bytes_;
};

} // namespace detail

} // namespace cluster_channel
