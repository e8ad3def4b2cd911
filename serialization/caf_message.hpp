// Lets described structs be elements of CAF messages, so that they travel between actors as they are.
//
// Within one process only: CAF can neither serialize nor print them. Between processes they travel as payloads (see
// codec.hpp, and `slot_request`).
#pragma once

#include <cluster_channel/serialization/type_traits.hpp>

#include <caf/allowed_unsafe_message_type.hpp>

namespace caf {

template <class T>
requires cluster_channel::detail::described<T>
struct allowed_unsafe_message_type<T> : std::true_type {
};

} // namespace caf
