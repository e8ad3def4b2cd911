#include <cluster_channel/channels/waiting_calls.hpp>

#include <algorithm>

namespace cluster_channel::detail {

std::uint64_t waiting_calls::add(call_ptr& x) {
  std::lock_guard guard{mutex_};
  if (closed_)
    return 0;
  const auto id = ++last_id_;
  auto& calls = queues_[*x->how.param].calls;
  count_ = queues_.size();
  calls.emplace_hint(calls.end(), id, nullptr)->second = std::move(x);
  return id;
}

bool waiting_calls::set_timer(const std::string& param, std::uint64_t id, timer_service::timer_id timer) {
  std::lock_guard guard{mutex_};
  auto entry = queues_.find(param);
  if (entry == queues_.end())
    return false;
  auto pos = entry->second.calls.find(id);
  if (pos == entry->second.calls.end())
    return false;
  pos->second->timer = timer;
  return true;
}

bool waiting_calls::must_queue(const std::string& param) const {
  if (empty())
    return false;
  std::lock_guard guard{mutex_};
  auto pos = queues_.find(param);
  return pos != queues_.end() && pos->second.sender != std::this_thread::get_id();
}

waiting_calls::call_ptr waiting_calls::take(const std::string& param, std::uint64_t id) {
  std::lock_guard guard{mutex_};
  auto entry = queues_.find(param);
  if (entry == queues_.end())
    return nullptr;
  auto taken = entry->second.calls.extract(id);
  if (taken.empty())
    return nullptr;
  forget_if_done(entry);
  return std::move(taken.mapped());
}

std::vector<waiting_calls::call_ptr> waiting_calls::close() {
  std::lock_guard guard{mutex_};
  closed_ = true;
  std::map<std::uint64_t, call_ptr> in_order;
  for (auto pos = queues_.begin(); pos != queues_.end();) {
    in_order.merge(pos->second.calls);
    forget_if_done(pos++);
  }
  std::vector<call_ptr> result;
  for (auto& entry : in_order)
    result.push_back(std::move(entry.second));
  return result;
}

std::vector<std::string> waiting_calls::params() const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (const auto& entry : queues_)
    result.push_back(entry.first);
  return result;
}

void waiting_calls::forget_if_done(queues::iterator pos) {
  if (pos->second.calls.empty() && pos->second.sender == std::thread::id{})
    queues_.erase(pos);
  count_ = queues_.size();
}

} // namespace cluster_channel::detail
