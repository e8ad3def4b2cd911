// An actor that is not lost when there is no memory for a moment.
//
// CAF 0.17.6 first puts a message into the mailbox and then takes memory to schedule the actor. If there is none, the
// actor counts as scheduled and never runs again.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <new>
#include <utility>

namespace cluster_channel::detail {

/// Enqueues `msg` for `self`, and schedules it once more if there was no memory for that.
/// @param where the execution unit that is asked to run the actor; null: the scheduler.
template <class Self>
void enqueue_insisting(Self& self, caf::mailbox_element_ptr msg, caf::execution_unit* where) {
  try {
    self.caf::scheduled_actor::enqueue(std::move(msg), where);
  } catch (const std::bad_alloc&) {
    if (where)
      where->exec_later(&self);
    else
      self.home_system().scheduler().enqueue(&self);
  }
}

class insisting_actor : public caf::event_based_actor {
public:
  using caf::event_based_actor::enqueue;
  using caf::event_based_actor::event_based_actor;

  void enqueue(caf::mailbox_element_ptr msg, caf::execution_unit* where) override {
    enqueue_insisting(*this, std::move(msg), where);
  }
};

} // namespace cluster_channel::detail
