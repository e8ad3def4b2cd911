// Which calls run out of time, and when the next one does.
//
// A plain value; the clock is the caller's. Calls of one pool share few distinct timeouts, so each timeout has a line
// of its own in which deadlines only grow: adding is O(number of distinct timeouts), expiring needs no search, and
// a call that was answered is simply skipped. Not thread-safe.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace cluster_channel {

class deadline_queue {
public:
  using clock = std::chrono::steady_clock;

  /// Adds `call`, which runs out of time at `now + timeout`. `now` never goes back.
  void add(call_id call, clock::time_point now, clock::duration timeout) {
    lines_[timeout].emplace_back(now + timeout, call);
  }

  /// Takes out and returns the calls whose deadline is not after `now`, including those answered meanwhile.
  std::vector<call_id> expire(clock::time_point now) {
    std::vector<call_id> result;
    for (auto& [timeout, line] : lines_)
      for (; !line.empty() && line.front().first <= now; line.pop_front())
        result.push_back(line.front().second);
    std::erase_if(lines_, [](const auto& line) { return line.second.empty(); });
    return result;
  }

  /// Drops entries of which `is_open(call)` is false: from the front always, from the whole queue once it holds far
  /// more entries than `open_calls`. Keeps memory in proportion to the open calls.
  template <class IsOpen>
  void forget_answered(std::size_t open_calls, IsOpen is_open) {
    const auto answered = [&](const entry& x) { return !is_open(x.second); };
    std::size_t entries = 0;
    for (auto& [timeout, line] : lines_) {
      while (!line.empty() && answered(line.front()))
        line.pop_front();
      entries += line.size();
    }
    if (entries > 2 * open_calls + 1024)
      for (auto& [timeout, line] : lines_)
        std::erase_if(line, answered);
    std::erase_if(lines_, [](const auto& line) { return line.second.empty(); });
  }

  /// The earliest deadline, if there is one.
  std::optional<clock::time_point> next() const {
    std::optional<clock::time_point> result;
    for (const auto& [timeout, line] : lines_)
      if (!line.empty() && (!result || line.front().first < *result))
        result = line.front().first;
    return result;
  }

private:
  using entry = std::pair<clock::time_point, call_id>;
  std::map<clock::duration, std::deque<entry>> lines_;
};

} // namespace cluster_channel
