#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/channels/message_link.hpp>

#include <cassert>

namespace cluster_channel {

generic_channel::generic_channel(caf::timespan timeout) : link_{std::make_shared<detail::message_link>(this, timeout)} {
  // nop
}

generic_channel::~generic_channel() {
  link_->detach();
}

std::shared_ptr<call_target> generic_channel::connect(std::shared_ptr<channel_listener> listener) {
  link_->attach(std::move(listener));
  return link_;
}

void generic_channel::undo_connect(const channel_listener& listener) {
  link_->release(listener);
}

void generic_channel::connected() {
  link_->connected();
}

void generic_channel::disconnected() {
  link_->disconnected();
}

void generic_channel::error(const caf::error& why) {
  link_->failed(why);
}

void generic_channel::message_received(message msg) {
  link_->received(std::move(msg));
}

void generic_channel::detach() noexcept {
  link_->detach();
}

bool generic_channel::has_bus() const noexcept {
  return link_->has_bus();
}

} // namespace cluster_channel
