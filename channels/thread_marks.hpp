// Which pool a thread works for: what must not wait for such a thread asks for it.
//
// Users' code runs on threads of a pool's own, in handlers and continuations, and may close or destroy that pool there.
#pragma once

namespace cluster_channel::detail {

/// The pool that this thread belongs to, which is compared only; null on all others.
inline thread_local const void* pool_of_this_thread = nullptr;

} // namespace cluster_channel::detail
