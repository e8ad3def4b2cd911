// How much of one kind is on its way to somebody who may be slow: messages, and their bytes.
//
// Each message holds a token until it was handled or dropped, whoever does that. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

namespace cluster_channel {

class flow_window {
public:
  struct limits {
    std::size_t messages = 0;
    std::size_t bytes = 0;
  };

  /// What a message holds.
  using token = std::shared_ptr<const void>;

  /// @param on_room called by any thread when there is much room again and `await_room` has asked for it; must not
  ///        throw.
  explicit flow_window(limits most, std::function<void()> on_room = nullptr)
      : state_{std::make_shared<state>(most, std::move(on_room))} {}

  bool full() const noexcept {
    return state_->messages >= state_->most.messages || state_->bytes >= state_->most.bytes;
  }

  std::size_t messages() const noexcept { return state_->messages; }
  std::size_t bytes() const noexcept { return state_->bytes; }

  /// For one more message, whether or not there is room.
  token take(std::size_t bytes) {
    token result{static_cast<const void*>(nullptr),
                 [to = state_, bytes](const void*) noexcept { to->give_back(bytes); }};
    state_->messages += 1;
    state_->bytes += bytes;
    return result;
  }

  /// Has `on_room` called once. @returns false if there is room already: then it is not.
  bool await_room() noexcept {
    state_->awaited = true;
    return !(state_->roomy() && state_->awaited.exchange(false));
  }

private:
  struct state {
    state(limits its_most, std::function<void()> f) : most{its_most}, on_room{std::move(f)} {}

    bool roomy() const noexcept { return messages <= most.messages / 2 && bytes <= most.bytes / 2; }

    void give_back(std::size_t size) noexcept {
      messages -= 1;
      bytes -= size;
      if (roomy() && awaited.exchange(false))
        on_room();
    }

    const limits most;
    const std::function<void()> on_room;
    std::atomic<std::size_t> messages{0};
    std::atomic<std::size_t> bytes{0};
    std::atomic<bool> awaited{false};
  };

  std::shared_ptr<state> state_;
};

} // namespace cluster_channel
