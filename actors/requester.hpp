// Remembers who sent the request that an actor handles, to answer it later from any thread.
//
// CAF's own response_promise delivers with the context of the actor that made it, so only that actor may use it.
#pragma once

#include <caf/actor_cast.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/local_actor.hpp>
#include <caf/response_promise.hpp>

#include <utility>

namespace cluster_channel {

class requester {
public:
  /// Takes over the request that `self` is handling: CAF will not answer it any more.
  explicit requester(caf::local_actor* self) : self_{caf::actor_cast<caf::strong_actor_ptr>(self)} {
    const auto promise = self->make_response_promise();
    source_ = promise.source();
    id_ = promise.id();
  }

  /// Sends the answer; to be called once. Does nothing if the message was no request. Thread-safe.
  void answer(caf::message result) const {
    if (source_ && !id_.is_async())
      source_->enqueue(self_, id_.response_id(), std::move(result), nullptr);
  }

private:
  caf::strong_actor_ptr self_;
  caf::strong_actor_ptr source_;
  caf::message_id id_;
};

} // namespace cluster_channel
