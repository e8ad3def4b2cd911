// One call that becomes several, as many as whoever takes it has far ends for.
#pragma once

#include <cluster_channel/actors/pending_call.hpp>

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace cluster_channel {

/// A broadcast on its way to a channel. Like a `pending_call` it belongs to one holder at a time, and one that is
/// dropped before it was opened ends with `channel_closed`.
class fan_out : public inbox_item {
public:
  fan_out() noexcept : inbox_item{kind::broadcast} {}

  /// Makes `runs` calls of it, 0 included. To be called at most once. Must neither block nor throw.
  virtual std::vector<pending_call_ptr> open(std::size_t runs) noexcept = 0;

  /// Bytes of its encoded request.
  virtual std::size_t bytes() const noexcept { return 0; }
};

using fan_out_ptr = std::shared_ptr<fan_out>;

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::fan_out_ptr)
