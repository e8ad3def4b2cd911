#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/channels/master_pool.hpp>

#include <stdexcept>
#include <utility>

namespace cluster_channel {

namespace {

master_options checked(master_options options) {
  if (auto err = validate(options))
    throw std::invalid_argument("master_channel: " + failure_of(err).text);
  return with_defaults(std::move(options));
}

} // namespace

master_channel::master_channel(master_options options)
    : pool_{detail::master_pool::make(nullptr, checked(std::move(options)))} {
  // nop
}

master_channel::master_channel(caf::actor_system& system, master_options options)
    : pool_{detail::master_pool::make(&system, checked(std::move(options)))} {
  // nop
}

master_channel::~master_channel() {
  detail::master_pool::end(std::move(pool_));
}

pool_closed master_channel::close(std::chrono::milliseconds drain_timeout) {
  return pool_->close(drain_timeout);
}

pool_closed master_channel::close() {
  return pool_->close(pool_->options().drain_timeout);
}

const caf::actor& master_channel::router() const noexcept {
  return pool_->router();
}

const caf::actor& master_channel::supervisor() const noexcept {
  return pool_->supervisor();
}

caf::actor_system& master_channel::system() const noexcept {
  return pool_->system();
}

pool_stats master_channel::stats() const {
  return pool_->stats();
}

std::shared_ptr<call_target> master_channel::connect(std::shared_ptr<channel_listener> listener) {
  return pool_->connect(std::move(listener));
}

void master_channel::undo_connect(const channel_listener&) {
  pool_->undo_connect();
}

} // namespace cluster_channel
