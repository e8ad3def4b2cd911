// Which handlers the nodes of a pool have announced: "registered" is a property of the pool, not of a node.
//
// It holds from the first node's announcement until a withdrawal after which no live node has one. A node that dies or
// is recycled withdraws nothing: its replacement is expected to announce the same. What no replacement announces, like
// a handler for a parameter with the node's own pid, would stay for ever; so only so many are expected at a time.
// A plain value, not thread-safe; the router owns the one of its pool.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace cluster_channel {

/// What a handler is registered for.
struct handler_key {
  std::string slot;
  std::string param = default_param;
  friend auto operator<=>(const handler_key&, const handler_key&) = default;
  friend bool operator==(const handler_key&, const handler_key&) = default;
};

/// Most handlers that one far end may have registered at a time, one that announces more is in error; and most that a
/// pool expects of the replacements of nodes that have gone.
inline constexpr std::size_t registrations_max = std::size_t{1} << 16;

class registration_table {
public:
  /// @param max see registrations_max.
  explicit registration_table(std::size_t max = registrations_max) : max_{max} {}

  /// `node` announced a handler; ignored if it has `max` already. @returns whether the pool has one only from now on.
  bool add(node_id node, const std::string& slot, const std::string& param);

  /// `node` withdrew its handler. @returns whether the pool has none from now on.
  bool remove(node_id node, const std::string& slot, const std::string& param);

  /// Forgets `node`, but not what it announced: of that the pool has none only beyond `max` handlers without a live
  /// node. @returns the handlers of which the pool has none from now on, those that were expected longest.
  std::vector<handler_key> node_gone(node_id node);

  bool contains(const std::string& slot, const std::string& param) const;

private:
  struct entry {
    std::set<node_id> nodes; // live ones that announced it
    std::uint64_t turn = 0;  // its place in expected_ while there are none
  };
  using params = std::unordered_map<std::string, entry>;

  void forget(const handler_key& key);

  const std::size_t max_;
  std::unordered_map<std::string, params> slots_;
  std::unordered_map<node_id, std::set<handler_key>> announced_; // by live nodes
  std::map<std::uint64_t, handler_key> expected_;                // the oldest first
  std::uint64_t last_turn_ = 0;
};

} // namespace cluster_channel
