#include <cluster_channel/actors/registration_table.hpp>

#include <utility>

namespace cluster_channel {

bool registration_table::add(node_id node, const std::string& slot, const std::string& param) {
  auto& its = announced_[node];
  if (its.size() >= max_)
    return false;
  its.insert({slot, param});
  auto [pos, added] = slots_[slot].try_emplace(param);
  auto& x = pos->second;
  if (x.nodes.empty())
    expected_.erase(x.turn);
  x.nodes.insert(node);
  return added;
}

bool registration_table::remove(node_id node, const std::string& slot, const std::string& param) {
  const handler_key key{slot, param};
  auto its = announced_.find(node);
  if (its == announced_.end() || its->second.erase(key) == 0)
    return false;
  auto& nodes = slots_.at(slot).at(param).nodes;
  nodes.erase(node);
  if (!nodes.empty())
    return false;
  forget(key);
  return true;
}

std::vector<handler_key> registration_table::node_gone(node_id node) {
  std::vector<handler_key> dropped;
  auto its = announced_.extract(node);
  if (its.empty())
    return dropped;
  for (const auto& key : its.mapped()) {
    auto& x = slots_.at(key.slot).at(key.param);
    x.nodes.erase(node);
    if (!x.nodes.empty())
      continue;
    x.turn = ++last_turn_;
    expected_.emplace(x.turn, key);
  }
  while (expected_.size() > max_) {
    auto oldest = expected_.extract(expected_.begin());
    forget(oldest.mapped());
    dropped.push_back(std::move(oldest.mapped()));
  }
  return dropped;
}

bool registration_table::contains(const std::string& slot, const std::string& param) const {
  auto pos = slots_.find(slot);
  return pos != slots_.end() && pos->second.contains(param);
}

void registration_table::forget(const handler_key& key) {
  auto pos = slots_.find(key.slot);
  pos->second.erase(key.param);
  if (pos->second.empty())
    slots_.erase(pos);
}

} // namespace cluster_channel
