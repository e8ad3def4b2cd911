#include <cluster_channel/channels/bus_core.hpp>

namespace cluster_channel::detail {

void bus_core::add(slot_declaration declaration, std::shared_ptr<slot_base> slot) {
  slots_.emplace(declaration.name, std::move(slot));
  declarations_.push_back(std::move(declaration));
}

void bus_core::connect(channel& link) {
  auto on_request = [bus = weak_from_this()](pending_call_ptr call) {
    if (auto core = bus.lock())
      core->handle(std::move(call));
  };
  auto registrations = [bus = weak_from_this()] {
    std::vector<handler_registered> result;
    if (auto core = bus.lock())
      for (const auto& [name, slot] : core->slots_)
        for (auto& param : slot->handled_params())
          result.push_back({name, std::move(param)});
    return result;
  };
  far_ends_.push_back(link.connect({declarations_, std::move(registrations), std::move(on_request)}));
}

void bus_core::announce(const message& registration) const {
  for (const auto& far_end : far_ends_)
    far_end->announce(registration);
}

void bus_core::handle(pending_call_ptr call) const {
  if (auto pos = slots_.find(call->slot); pos != slots_.end()) {
    pos->second->handle(std::move(call));
    return;
  }
  std::string text = "no slot " + call->slot + " is declared here; declared are";
  for (const auto& slot : declarations_)
    text += " " + slot.name;
  call->fail(errc::no_handler, std::move(text));
}

} // namespace cluster_channel::detail
