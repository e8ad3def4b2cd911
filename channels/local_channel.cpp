#include <cluster_channel/actors/detail/clean_spawn.hpp>
#include <cluster_channel/channels/local_channel.hpp>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <cstdint>
#include <utility>

namespace cluster_channel {

namespace {

/// Mail to the courier of an end. What is from before the last disconnection is lost.
struct delivery {
  std::uint64_t connection = 0;
  message what;
};
struct link_up {};
struct link_down {};
struct link_failed {
  caf::error why;
};

} // namespace

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::delivery)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::link_up)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::link_down)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::link_failed)

namespace cluster_channel {

class local_channel_pair::end final : public generic_channel {
public:
  end(link& between, caf::timespan timeout) : generic_channel{timeout}, link_{between} {}
  ~end() override { detach(); }

  void set_far_end(caf::actor courier) { far_end_ = std::move(courier); }

  /// The behaviour of the actor that brings this end its mail; it keeps the pair alive until it ends.
  caf::behavior courier(const std::shared_ptr<link>& pair);

  using generic_channel::detach;

private:
  caf::error send(message msg) override;
  bool reconnect() override;

  link& link_;
  caf::actor far_end_;
};

class local_channel_pair::link : public std::enable_shared_from_this<link> {
public:
  explicit link(local_channel_options options)
      : options_{options}, first{*this, options.timeout}, second{*this, options.timeout} {}

  void start(caf::actor_system& system) {
    const auto pair = shared_from_this();
    const auto spawn = [&](end& at) {
      return detail::spawn_cleanly(system, [&]() -> caf::actor {
        return system.spawn<caf::hidden>([pair, &at](caf::event_based_actor*) { return at.courier(pair); });
      });
    };
    first_courier = spawn(first);
    second_courier = spawn(second);
    first.set_far_end(second_courier);
    second.set_far_end(first_courier);
  }

  /// The couriers may be at work meanwhile, and end later.
  void stop() {
    first.detach();
    second.detach();
    caf::anon_send_exit(first_courier, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(second_courier, caf::exit_reason::user_shutdown);
  }

  bool reconnects() const noexcept { return options_.reconnects; }

  std::uint64_t connection() const {
    std::lock_guard guard{mutex_};
    return connection_;
  }

  void connect() {
    std::lock_guard guard{mutex_};
    if (std::exchange(connected_, true))
      return;
    tell_both(link_up{});
  }

  void disconnect() {
    std::lock_guard guard{mutex_};
    if (!std::exchange(connected_, false))
      return;
    ++connection_;
    tell_both(link_down{});
  }

  void fail(const caf::error& why) { tell_both(link_failed{why}); }

private:
  template <class T>
  void tell_both(const T& what) {
    caf::anon_send(first_courier, what);
    caf::anon_send(second_courier, what);
  }

  const local_channel_options options_;
  mutable std::mutex mutex_;
  bool connected_ = false;
  std::uint64_t connection_ = 0;

public:
  end first;
  end second;
  caf::actor first_courier;
  caf::actor second_courier;
};

caf::behavior local_channel_pair::end::courier(const std::shared_ptr<link>& pair) {
  return {
      [this, pair](delivery& msg) {
        if (msg.connection == pair->connection())
          message_received(std::move(msg.what));
      },
      [this, pair](const link_up&) { connected(); },
      [this, pair](const link_down&) { disconnected(); },
      [this, pair](const link_failed& msg) { error(msg.why); },
  };
}

caf::error local_channel_pair::end::send(message msg) {
  caf::anon_send(far_end_, delivery{link_.connection(), std::move(msg)});
  return {};
}

bool local_channel_pair::end::reconnect() {
  if (link_.reconnects())
    link_.connect();
  return link_.reconnects();
}

local_channel_pair::local_channel_pair(caf::actor_system& system, local_channel_options options)
    : link_{std::make_shared<link>(options)} {
  link_->start(system);
  if (options.connected)
    link_->connect();
}

local_channel_pair::~local_channel_pair() {
  link_->stop();
}

generic_channel& local_channel_pair::first() noexcept {
  return link_->first;
}

generic_channel& local_channel_pair::second() noexcept {
  return link_->second;
}

void local_channel_pair::connect() {
  link_->connect();
}

void local_channel_pair::disconnect() {
  link_->disconnect();
}

void local_channel_pair::fail(const caf::error& why) {
  link_->fail(why);
}

} // namespace cluster_channel
