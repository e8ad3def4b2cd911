#include <cluster_channel/actors/route_table.hpp>

#include <algorithm>
#include <limits>

namespace cluster_channel {

route_table::route_table(const route_limits& limits) : limits_{limits} {
  // nop
}

bool route_table::submit(call_id call, std::size_t size) {
  // A node with room never coexists with waiting calls except while a launch is under way, so the bound is on the line.
  const auto goes_out_at_once = in_line() == 0 && !with_room_.empty();
  if (!goes_out_at_once && !has_room_for(size))
    return false;
  line_.push_back(call);
  waiting_.emplace(call, size);
  waiting_bytes_ += size;
  hold_launches_ = false;
  return true;
}

bool route_table::submit_held(call_id call, std::size_t size) {
  if (!has_room_for(size))
    return false;
  held_.insert(call);
  waiting_.emplace(call, size);
  waiting_bytes_ += size;
  hold_launches_ = false;
  return true;
}

void route_table::release(call_id call) {
  if (held_.erase(call) > 0)
    line_.insert(std::upper_bound(line_.begin(), line_.end(), call), call);
}

void route_table::node_ready(node_id node) {
  if (launching_ > 0)
    --launching_;
  hold_launches_ = false;
  auto [pos, added] = nodes_.emplace(node, room{0, std::numeric_limits<std::uint64_t>::max() - ++uses_, node});
  if (added)
    with_room_.insert(pos->second);
}

bool route_table::complete(node_id node, call_id call) {
  auto pos = running_.find(call);
  if (pos == running_.end() || pos->second != node)
    return false;
  running_.erase(pos);
  auto& where = nodes_.at(node);
  set_load(where, where.load - 1);
  return true;
}

std::vector<call_id> route_table::remove_node(node_id node) {
  std::vector<call_id> result;
  auto pos = nodes_.find(node);
  if (pos == nodes_.end())
    return result;
  with_room_.erase(pos->second);
  nodes_.erase(pos);
  hold_launches_ = false;
  std::erase_if(running_, [&](const auto& entry) {
    if (entry.second != node)
      return false;
    result.push_back(entry.first);
    return true;
  });
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<call_id> route_table::launches_failed(std::size_t count) {
  launching_ -= std::min(count, launching_);
  hold_launches_ = true;
  if (launching_ > 0 || !nodes_.empty())
    return {};
  return withdraw_all();
}

bool route_table::withdraw(call_id call) {
  auto pos = waiting_.find(call);
  if (pos == waiting_.end())
    return false;
  waiting_bytes_ -= pos->second;
  waiting_.erase(pos);
  held_.erase(call);
  // Keeps the line within twice the waiting calls however many are withdrawn from its middle.
  if (line_.size() > 2 * in_line() + 64)
    std::erase_if(line_, [this](call_id id) { return !in_line(id); });
  return true;
}

std::vector<call_id> route_table::withdraw_all() {
  std::vector<call_id> result;
  result.reserve(waiting_.size());
  for (const auto& [call, size] : waiting_)
    result.push_back(call);
  std::sort(result.begin(), result.end());
  line_.clear();
  held_.clear();
  waiting_.clear();
  waiting_bytes_ = 0;
  return result;
}

route_table::plan route_table::dispatch() {
  plan out;
  forget_withdrawn();
  // Idle nodes first.
  while (in_line() > 0 && !with_room_.empty() && is_idle(*with_room_.begin()))
    assign_front(nodes_.at(with_room_.begin()->node), out);
  // Then new nodes: one for each call that waits for one, and what the minimum asks for. A held call has its node in
  // one that is idle.
  const auto live = nodes_.size() + launching_;
  const auto served = launching_ + (held_.empty() ? 0 : std::min(idle_nodes(), held_.size()));
  const auto wanted = waiting_.size() > served ? waiting_.size() - served : 0;
  const auto missing = limits_.nodes_min > live ? limits_.nodes_min - live : 0;
  const auto allowed = limits_.nodes_max > live ? limits_.nodes_max - live : 0;
  out.launch = hold_launches_ ? 0 : std::min(std::max(wanted, missing), allowed);
  launching_ += out.launch;
  // Then nodes with room. Calls for which a node is being launched wait for it rather than queue up behind another.
  while (in_line() > launching_ && !with_room_.empty())
    assign_front(nodes_.at(with_room_.begin()->node), out);
  return out;
}

std::size_t route_table::idle_nodes() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(with_room_.begin(), with_room_.end(), [this](const room& r) { return is_idle(r); }));
}

bool route_table::has_room_for(std::size_t size) const noexcept {
  return waiting_.size() < limits_.buffer_calls_max && waiting_bytes_ <= limits_.buffer_bytes_max &&
         size <= limits_.buffer_bytes_max - waiting_bytes_;
}

void route_table::set_load(room& node, std::size_t load) {
  auto handle = with_room_.extract(node);
  if (load > node.load)
    node.age = std::numeric_limits<std::uint64_t>::max() - ++uses_;
  node.load = load;
  if (load >= limits_.calls_per_node)
    return;
  if (handle.empty()) {
    with_room_.insert(node);
    return;
  }
  handle.value() = node;
  with_room_.insert(std::move(handle));
}

void route_table::assign_front(room& node, plan& out) {
  const auto call = line_.front();
  line_.pop_front();
  auto pos = waiting_.find(call);
  waiting_bytes_ -= pos->second;
  waiting_.erase(pos);
  running_.emplace(call, node.node);
  set_load(node, node.load + 1);
  out.assign.push_back({call, node.node});
  forget_withdrawn();
}

void route_table::forget_withdrawn() {
  while (!line_.empty() && !in_line(line_.front()))
    line_.pop_front();
}

} // namespace cluster_channel
