#include <cluster_channel/channels/bus_core.hpp>

#include <algorithm>
#include <stdexcept>

namespace cluster_channel::detail {

bus_core::bus_core(bus_options options)
    : options_{std::move(options)}, timers_{options_.timers ? options_.timers : make_timer_thread()} {
  // nop
}

bus_core::~bus_core() {
  close();
}

void bus_core::close() {
  if (mark_.in_copy() || closed_.exchange(true)) // in a copy, what waits is the original's
    return;
  for (const auto& entry : slots_)
    entry.second->close(*this);
}

void bus_core::add(slot_declaration declaration, const json_form& form, std::shared_ptr<slot_base> slot) {
  forms_.emplace(declaration.name, form);
  slots_.emplace(declaration.name, std::move(slot));
  declarations_.push_back(std::move(declaration));
}

bool bus_core::ignores(std::string_view name) const {
  const auto& names = options_.ignored_events;
  return std::find(names.begin(), names.end(), name) != names.end();
}

void bus_core::connect() {
  for (const auto& name : options_.ignored_events)
    if (std::find(ignored_.begin(), ignored_.end(), name) == ignored_.end()) {
      auto text = "event_bus: ignored_events names " + name + ", which is no slot of its declaration; slots are";
      for (const auto& slot : declarations_)
        text += " " + slot.name;
      throw std::invalid_argument(text);
    }
  for (auto* link : options_.channels)
    if (!link)
      throw std::invalid_argument("event_bus: one of its channels is a null pointer");
  const auto forms = std::make_shared<const json_forms>(forms_);
  for (std::size_t i = 0; i < options_.channels.size(); ++i)
    transports_.push_back(std::make_shared<transport>(weak_from_this(), declarations_, forms, ignored_, timers_));
  // Nothing is said to anyone before all are connected: if one cannot, the others are as they were.
  std::size_t connected = 0;
  try {
    for (; connected < transports_.size(); ++connected)
      transports_[connected]->connect(*options_.channels[connected]);
  } catch (...) {
    while (connected > 0) {
      --connected;
      options_.channels[connected]->undo_connect(*transports_[connected]);
    }
    throw;
  }
  for (const auto& each : transports_)
    each->start();
}

bool bus_core::begin_waiting(std::size_t size) noexcept {
  std::lock_guard guard{waiting_mutex_};
  if (waiting_calls_ >= options_.buffer_calls_max || size > options_.buffer_bytes_max - waiting_bytes_)
    return false;
  ++waiting_calls_;
  waiting_bytes_ += size;
  return true;
}

void bus_core::end_waiting(std::size_t size) noexcept {
  std::lock_guard guard{waiting_mutex_};
  --waiting_calls_;
  waiting_bytes_ -= size;
}

void bus_core::handlers_changed(const handler_key& key) const {
  for (const auto& each : transports_)
    each->handlers_changed(key);
}

void bus_core::handle(pending_call_ptr call) const {
  if (closed()) {
    call->fail(errc::channel_closed, "the event bus that would handle it is gone");
    return;
  }
  if (auto* slot = find(call->slot)) {
    slot->handle(std::move(call));
    return;
  }
  if (std::find(ignored_.begin(), ignored_.end(), call->slot) != ignored_.end()) {
    call->fail(errc::event_ignored, "slot " + call->slot + " is ignored here");
    return;
  }
  std::string text = "no slot " + call->slot + " is declared here; declared are";
  for (const auto& slot : declarations_)
    text += " " + slot.name;
  call->fail(errc::no_handler, std::move(text));
}

std::vector<handler_key> bus_core::handled() const {
  std::vector<handler_key> result;
  for (const auto& declaration : declarations_)
    for (auto& param : slots_.at(declaration.name)->handled_params())
      result.push_back({declaration.name, std::move(param)});
  return result;
}

bool bus_core::handles(const handler_key& key) const {
  const auto* slot = find(key.slot);
  return slot && slot->handles(key.param);
}

void bus_core::registration_changed(const handler_key& key) const {
  if (auto* slot = find(key.slot))
    slot->registration_changed(key.param);
}

void bus_core::readiness_changed() const {
  for (const auto& entry : slots_)
    entry.second->readiness_changed();
}

bool bus_core::may_reconnect(const std::string& slot) const {
  const auto* found = find(slot);
  return found && found->auto_reconnect();
}

slot_base* bus_core::find(const std::string& name) const {
  auto pos = slots_.find(name);
  return pos == slots_.end() ? nullptr : pos->second.get();
}

} // namespace cluster_channel::detail
