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

/// Most handlers that one far end may have registered at a time, one that announces more is in error; and most that a
/// pool expects of the replacements of nodes that have gone.
inline constexpr std::size_t registrations_max = std::size_t{1} << 16;

/// The same in bytes of their names; for a node of a pool, those of the slots in its hello too.
inline constexpr std::size_t registration_bytes_max = std::size_t{16} << 20;

class registration_table {
public:
  struct limits {
    std::size_t handlers = registrations_max;            ///< of one node, and expected
    std::size_t bytes = registration_bytes_max;          ///< of the names that are expected
    std::size_t pool_bytes = 4 * registration_bytes_max; ///< of all names, each counted once however many nodes have it
  };

  explicit registration_table(limits most) : most_{most} {}
  explicit registration_table(std::size_t handlers_max = registrations_max)
      : registration_table{limits{.handlers = handlers_max}} {}

  registration_table(const registration_table&) = delete;
  registration_table& operator=(const registration_table&) = delete;

  /// `node` announced a handler; ignored beyond the limits. @returns whether the pool has one only from now on.
  bool add(node_id node, const std::string& slot, const std::string& param);

  /// `node` withdrew its handler. @returns whether the pool has none from now on.
  bool remove(node_id node, const std::string& slot, const std::string& param);

  /// Forgets `node`, but not what it announced: of that the pool has none only beyond what is expected without a live
  /// node. @returns the handlers of which the pool has none from now on, those that were expected longest.
  std::vector<handler_key> node_gone(node_id node);

  bool contains(const std::string& slot, const std::string& param) const;

  /// Of all names that are held.
  std::size_t bytes() const noexcept { return bytes_; }

private:
  /// Points into slots_, so that each name is held once.
  struct key_view {
    std::string_view slot;
    std::string_view param;
    std::size_t bytes() const noexcept { return slot.size() + param.size(); }
    friend auto operator<=>(const key_view&, const key_view&) = default;
  };

  struct entry {
    std::set<node_id> nodes; // live ones that announced it
    std::uint64_t turn = 0;  // its place in expected_ while there are none
  };
  using params = std::unordered_map<std::string, entry>;

  entry& entry_of(const key_view& key);
  void forget(const key_view& key);

  const limits most_;
  std::unordered_map<std::string, params> slots_;
  std::unordered_map<node_id, std::set<key_view>> announced_; // by live nodes
  std::map<std::uint64_t, key_view> expected_;                // the oldest first
  std::size_t expected_bytes_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t last_turn_ = 0;
};

} // namespace cluster_channel
