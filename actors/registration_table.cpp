#include <cluster_channel/actors/registration_table.hpp>

namespace cluster_channel {

bool registration_table::add(node_id node, const std::string& slot, const std::string& param) {
  auto [pos, added] = slots_[slot].try_emplace(param);
  pos->second.insert(node);
  return added;
}

bool registration_table::remove(node_id node, const std::string& slot, const std::string& param) {
  auto entry = slots_.find(slot);
  if (entry == slots_.end())
    return false;
  auto pos = entry->second.find(param);
  if (pos == entry->second.end() || pos->second.erase(node) == 0 || !pos->second.empty())
    return false;
  entry->second.erase(pos);
  if (entry->second.empty())
    slots_.erase(entry);
  return true;
}

void registration_table::node_gone(node_id node) {
  for (auto& [slot, its_params] : slots_)
    for (auto& [param, nodes] : its_params)
      nodes.erase(node);
}

bool registration_table::contains(const std::string& slot, const std::string& param) const {
  auto pos = slots_.find(slot);
  return pos != slots_.end() && pos->second.contains(param);
}

} // namespace cluster_channel
