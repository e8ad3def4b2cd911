#include <cluster_channel/actors/route_table.hpp>

#include <algorithm>
#include <limits>
#include <new>

namespace cluster_channel {

route_table::route_table(const route_limits& limits) : limits_{limits} {
  // nop
}

bool route_table::submit(call_id call, std::size_t size) {
  return submit(call, size, false);
}

bool route_table::submit_held(call_id call, std::size_t size) {
  return submit(call, size, true);
}

bool route_table::submit(call_id call, std::size_t size, bool held) {
  // A node with room never coexists with waiting calls except while a launch is under way, so the bound is on the line.
  const auto goes_out_at_once = !held && in_line() < free_places_;
  if (!goes_out_at_once && !has_room_for(size))
    return false;
  waiting_.emplace(call, waiting_call{size, held});
  if (held) {
    ++held_;
  } else {
    try {
      line_.push_back(call);
    } catch (...) {
      waiting_.erase(call);
      throw;
    }
  }
  waiting_bytes_ += size;
  hold_launches_ = false;
  return true;
}

void route_table::release(call_id call) {
  auto pos = waiting_.find(call);
  if (pos == waiting_.end() || !pos->second.held)
    return;
  released_.insert(call);
  pos->second.held = false;
  --held_;
}

void route_table::node_ready(node_id node) {
  const auto [pos, added] = nodes_.try_emplace(node);
  if (!added)
    return;
  pos->second.age = std::numeric_limits<std::uint64_t>::max() - ++uses_;
  try {
    pos->second.place = with_room_.extract(with_room_.insert({0, pos->second.age, node}).first);
  } catch (...) {
    nodes_.erase(pos);
    throw;
  }
  enlist(node, pos->second);
  if (launching_ > 0)
    --launching_;
  hold_launches_ = false;
  free_places_ += limits_.calls_per_node;
}

bool route_table::complete(node_id node, call_id call) {
  const auto pos = running_.find(call);
  if (pos == running_.end() || pos->second.node != node)
    return false;
  auto& where = nodes_.at(node);
  delist(node, where);
  // The last one takes its place.
  const auto place = pos->second.place;
  const auto last = where.running.back();
  where.running[place] = last;
  where.running.pop_back();
  running_.erase(pos);
  if (last != call)
    running_.at(last).place = place;
  ++free_places_;
  enlist(node, where);
  return true;
}

std::vector<call_id> route_table::remove_node(node_id node) {
  const auto pos = nodes_.find(node);
  if (pos == nodes_.end())
    return {};
  delist(node, pos->second);
  auto result = std::move(pos->second.running);
  nodes_.erase(pos);
  free_places_ -= limits_.calls_per_node - result.size();
  hold_launches_ = false;
  for (const auto call : result)
    running_.erase(call);
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
  const auto pos = waiting_.find(call);
  if (pos == waiting_.end())
    return false;
  waiting_bytes_ -= pos->second.size;
  if (pos->second.held)
    --held_;
  else
    released_.erase(call);
  waiting_.erase(pos);
  // Keeps the line within twice the waiting calls however many are withdrawn from its middle.
  if (line_.size() > 2 * in_line() + 64)
    std::erase_if(line_, [this](call_id id) { return !in_line(id); });
  return true;
}

std::vector<call_id> route_table::withdraw_all() {
  std::vector<call_id> result;
  result.reserve(waiting_.size());
  for (const auto& entry : waiting_)
    result.push_back(entry.first);
  std::sort(result.begin(), result.end());
  line_.clear();
  released_.clear();
  waiting_.clear();
  held_ = 0;
  waiting_bytes_ = 0;
  return result;
}

route_table::plan route_table::dispatch() noexcept {
  plan out;
  try {
    assign(out);
  } catch (const std::bad_alloc&) {
    out.starved = front();
  }
  return out;
}

void route_table::assign(plan& out) {
  // Idle nodes first.
  while (in_line() > 0 && idle_ > 0)
    assign_front(out);
  // Then new nodes: one for each call that waits for one, and what the minimum asks for. A held call has its node in
  // one that is idle.
  const auto live = nodes_.size() + launching_;
  const auto served = launching_ + std::min(idle_, held_);
  const auto wanted = waiting_.size() > served ? waiting_.size() - served : 0;
  const auto missing = limits_.nodes_min > live ? limits_.nodes_min - live : 0;
  const auto allowed = limits_.nodes_max > live ? limits_.nodes_max - live : 0;
  out.launch = hold_launches_ ? 0 : std::min(std::max(wanted, missing), allowed);
  launching_ += out.launch;
  // Then nodes with room. Calls for which a node is being launched wait for it rather than queue up behind another.
  while (in_line() > launching_ && may_take_more())
    assign_front(out);
}

bool route_table::has_room_for(std::size_t size) const noexcept {
  return waiting_.size() < limits_.buffer_calls_max && waiting_bytes_ <= limits_.buffer_bytes_max &&
         size <= limits_.buffer_bytes_max - waiting_bytes_;
}

bool route_table::in_line(call_id call) const {
  const auto pos = waiting_.find(call);
  return pos != waiting_.end() && !pos->second.held;
}

void route_table::enlist(node_id node, node_entry& entry) noexcept {
  const auto load = entry.running.size();
  idle_ += load == 0 ? 1 : 0;
  if (load >= limits_.calls_per_node)
    return;
  entry.place.value() = {load, entry.age, node};
  with_room_.insert(std::move(entry.place));
}

void route_table::delist(node_id node, node_entry& entry) noexcept {
  const auto load = entry.running.size();
  idle_ -= load == 0 ? 1 : 0;
  if (load < limits_.calls_per_node)
    entry.place = with_room_.extract({load, entry.age, node});
}

/// The oldest call of the line, of which there is one.
call_id route_table::front() {
  while (!line_.empty() && !in_line(line_.front()))
    line_.pop_front();
  if (released_.empty() || (!line_.empty() && line_.front() < *released_.begin()))
    return line_.front();
  return *released_.begin();
}

/// Takes that call, `call`, out of the line.
void route_table::take_front(call_id call) noexcept {
  if (!line_.empty() && line_.front() == call)
    line_.pop_front();
  else
    released_.erase(released_.begin());
  const auto pos = waiting_.find(call);
  waiting_bytes_ -= pos->second.size;
  waiting_.erase(pos);
}

/// Gives the oldest call of the line, of which there is one, to the node that is to have it. Changes nothing if there
/// is no memory for that.
void route_table::assign_front(plan& out) {
  const auto call = front();
  const auto node = with_room_.begin()->node;
  auto& entry = nodes_.at(node);
  const auto load = entry.running.size();
  out.assign.push_back({call, node});
  try {
    running_.emplace(call, running_call{node, load});
    entry.running.push_back(call);
  } catch (...) {
    out.assign.pop_back();
    running_.erase(call);
    throw;
  }
  entry.running.pop_back(); // there is room for it now
  take_front(call);
  delist(node, entry);
  entry.running.push_back(call);
  entry.age = std::numeric_limits<std::uint64_t>::max() - ++uses_;
  --free_places_;
  enlist(node, entry);
}

} // namespace cluster_channel
