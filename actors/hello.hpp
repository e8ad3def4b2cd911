// Do the two ends of a link fit together? Both ends ask this of the hellos they exchange.
#pragma once

#include <cluster_channel/serialization/message.hpp>

#include <caf/error.hpp>

namespace cluster_channel {

/// Compares what the two ends said of themselves. @returns an empty error if they fit, else `protocol_mismatch` naming
/// both sides. They fit if version and codec are equal, every slot that both declare has the same types on both, and,
/// if both declare any, at least one slot is common. A slot that only one end declares is not an error until called.
caf::error compare_hellos(const hello& master, const hello& child);

} // namespace cluster_channel
