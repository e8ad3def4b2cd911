// Which handlers the nodes of a pool have announced: "registered" is a property of the pool, not of a node.
//
// It holds from the first node's announcement until a withdrawal after which no live node has one. A node that dies or
// is recycled withdraws nothing: its replacement is expected to announce the same.
// A plain value, not thread-safe; the router owns the one of its pool.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <compare>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
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

/// Most handlers that one far end may have registered at a time; one that announces more is in error.
inline constexpr std::size_t registrations_max = std::size_t{1} << 16;

class registration_table {
public:
  /// `node` announced a handler. @returns whether the pool has one only from now on.
  bool add(node_id node, const std::string& slot, const std::string& param);

  /// `node` withdrew its handler. @returns whether the pool has none from now on.
  bool remove(node_id node, const std::string& slot, const std::string& param);

  /// Forgets `node`, but not what it announced.
  void node_gone(node_id node);

  bool contains(const std::string& slot, const std::string& param) const;

private:
  using params = std::unordered_map<std::string, std::set<node_id>>; // parameter -> live nodes that announced it

  std::unordered_map<std::string, params> slots_;
};

} // namespace cluster_channel
