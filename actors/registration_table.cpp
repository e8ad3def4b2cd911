#include <cluster_channel/actors/registration_table.hpp>

#include <algorithm>

namespace cluster_channel {

bool registration_table::add(node_id node, const std::string& slot, const std::string& param) {
  auto& its = announced_[node];
  if (its.size() >= most_.handlers)
    return false;
  const auto known = contains(slot, param);
  if (!known && slot.size() + param.size() > most_.pool_bytes - std::min(bytes_, most_.pool_bytes))
    return false;
  auto params_of_slot = slots_.try_emplace(slot).first;
  auto pos = params_of_slot->second.try_emplace(param).first;
  const key_view key{params_of_slot->first, pos->first};
  auto& x = pos->second;
  const auto was_expected = known && x.nodes.empty();
  try {
    its.insert(key);
    x.nodes.insert(node);
  } catch (...) { // no memory: as if it had not been announced
    its.erase(key);
    if (!known)
      params_of_slot->second.erase(pos);
    throw;
  }
  if (!known)
    bytes_ += key.bytes();
  else if (was_expected && expected_.erase(x.turn) > 0)
    expected_bytes_ -= key.bytes();
  return !known;
}

bool registration_table::remove(node_id node, const std::string& slot, const std::string& param) {
  auto its = announced_.find(node);
  if (its == announced_.end())
    return false;
  auto found = its->second.find({slot, param});
  if (found == its->second.end())
    return false;
  const auto key = *found;
  its->second.erase(found);
  auto& nodes = entry_of(key).nodes;
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
    auto& x = entry_of(key);
    x.nodes.erase(node);
    if (!x.nodes.empty())
      continue;
    x.turn = ++last_turn_;
    expected_.emplace(x.turn, key);
    expected_bytes_ += key.bytes();
  }
  while (expected_.size() > most_.handlers || expected_bytes_ > most_.bytes) {
    const auto oldest = expected_.begin()->second;
    expected_.erase(expected_.begin());
    expected_bytes_ -= oldest.bytes();
    dropped.push_back({std::string{oldest.slot}, std::string{oldest.param}});
    forget(oldest);
  }
  return dropped;
}

bool registration_table::contains(const std::string& slot, const std::string& param) const {
  auto pos = slots_.find(slot);
  return pos != slots_.end() && pos->second.contains(param);
}

registration_table::entry& registration_table::entry_of(const key_view& key) {
  return slots_.find(std::string{key.slot})->second.find(std::string{key.param})->second;
}

/// `key` is not to be used after that.
void registration_table::forget(const key_view& key) {
  bytes_ -= key.bytes();
  auto pos = slots_.find(std::string{key.slot});
  pos->second.erase(std::string{key.param});
  if (pos->second.empty())
    slots_.erase(pos);
}

} // namespace cluster_channel
