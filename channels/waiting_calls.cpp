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
  calls_[param].push_back(std::move(x));
  ++count_;
  return last_id_;
}

bool waiting_calls::set_timer(const std::string& param, std::uint64_t id, timer_service::timer_id timer) {
  std::lock_guard guard{mutex_};
  auto entry = calls_.find(param);
  if (entry == calls_.end())
    return false;
  auto pos = find_call(entry->second, id);
  if (pos == entry->second.end())
    return false;
  pos->timer = timer;
  return true;
}

std::deque<waiting_calls::call> waiting_calls::take(const std::string& param) {
  std::lock_guard guard{mutex_};
  auto entry = calls_.extract(param);
  if (entry.empty())
    return {};
  count_ -= entry.mapped().size();
  return std::move(entry.mapped());
}

std::optional<waiting_calls::call> waiting_calls::take(const std::string& param, std::uint64_t id) {
  std::lock_guard guard{mutex_};
  auto entry = calls_.find(param);
  if (entry == calls_.end())
    return std::nullopt;
  auto pos = find_call(entry->second, id);
  if (pos == entry->second.end())
    return std::nullopt;
  auto result = std::move(*pos);
  entry->second.erase(pos);
  if (entry->second.empty())
    calls_.erase(entry);
  --count_;
  return result;
}

std::vector<std::string> waiting_calls::params() const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (const auto& entry : calls_)
    result.push_back(entry.first);
  return result;
}

} // namespace cluster_channel::detail
