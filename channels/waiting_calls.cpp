#include <cluster_channel/channels/waiting_calls.hpp>

#include <algorithm>

namespace cluster_channel::detail {

namespace {

template <class Calls>
auto find_call(Calls& calls, std::uint64_t id) {
  // Ids grow from the front to the back.
  auto pos = std::lower_bound(calls.begin(), calls.end(), id, [](const auto& x, std::uint64_t y) { return x.id < y; });
  return pos != calls.end() && pos->id == id ? pos : calls.end();
}

} // namespace

std::uint64_t waiting_calls::add(const std::string& param, call x) {
  std::lock_guard guard{mutex_};
  x.id = ++last_id_;
  queues_[param].calls.push_back(std::move(x));
  count_ = queues_.size();
  return last_id_;
}

bool waiting_calls::set_timer(const std::string& param, std::uint64_t id, timer_service::timer_id timer) {
  std::lock_guard guard{mutex_};
  auto entry = queues_.find(param);
  if (entry == queues_.end())
    return false;
  auto& calls = entry->second.calls;
  auto pos = find_call(calls, id);
  if (pos == calls.end())
    return false;
  pos->timer = timer;
  return true;
}

bool waiting_calls::must_queue(const std::string& param) const {
  if (empty())
    return false;
  std::lock_guard guard{mutex_};
  auto pos = queues_.find(param);
  return pos != queues_.end() && pos->second.sender != std::this_thread::get_id();
}

std::deque<waiting_calls::call> waiting_calls::take(const std::string& param) {
  std::lock_guard guard{mutex_};
  auto entry = queues_.find(param);
  if (entry == queues_.end())
    return {};
  auto result = std::exchange(entry->second.calls, {});
  forget_if_done(entry);
  return result;
}

std::optional<waiting_calls::call> waiting_calls::take(const std::string& param, std::uint64_t id) {
  std::lock_guard guard{mutex_};
  auto entry = queues_.find(param);
  if (entry == queues_.end())
    return std::nullopt;
  auto& calls = entry->second.calls;
  auto pos = find_call(calls, id);
  if (pos == calls.end())
    return std::nullopt;
  auto result = std::move(*pos);
  calls.erase(pos);
  forget_if_done(entry);
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
