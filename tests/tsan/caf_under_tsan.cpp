// Shows ThreadSanitizer how CAF's actors synchronize, so that it need not be silenced about what they do.
//
// Debian's libcaf_core is not instrumented: ThreadSanitizer sees neither that a message is written before it is
// handled, nor that an actor runs on one thread at a time, and would take each of our handlers for a race. The
// functions here are linked into every program of the `tsan` preset and stand before those of the library of the same
// names: they say what happens before what, and call the library's. What they promise is CAF's own contract; whatever
// our actors share in any other way is still reported. Part of no other build.
#include <caf/blocking_actor.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/ref_counted.hpp>
#include <caf/scheduled_actor.hpp>

#include <cstdlib>
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>
#include <utility>

namespace {

/// The library's own function. A member function is called as a function whose first argument is the object: so the
/// Itanium C++ ABI has it.
template <class F>
F* next(const char* mangled_name) {
  void* result = ::dlsym(RTLD_NEXT, mangled_name);
  if (!result)
    std::abort(); // another version of CAF
  return reinterpret_cast<F*>(result);
}

/// Stands for all that was ever sent to the actor: not its own address, which stands for what it has done.
void* mailbox_of(caf::abstract_actor* self) {
  return reinterpret_cast<char*>(self) + 1;
}

} // namespace

namespace caf {

// -- what is sent happens before it is handled --------------------------------

void scheduled_actor::enqueue(mailbox_element_ptr ptr, execution_unit* eu) {
  using function = void(scheduled_actor*, mailbox_element_ptr, execution_unit*);
  static auto* const call = next<function>("_ZN3caf15scheduled_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_"
                                           "6detail8disposerEEPNS_14execution_unitE");
  __tsan_release(ptr.get());
  __tsan_release(mailbox_of(this));
  call(this, std::move(ptr), eu);
}

void blocking_actor::enqueue(mailbox_element_ptr ptr, execution_unit* eu) {
  using function = void(blocking_actor*, mailbox_element_ptr, execution_unit*);
  static auto* const call = next<function>("_ZN3caf14blocking_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_"
                                           "6detail8disposerEEPNS_14execution_unitE");
  __tsan_release(ptr.get());
  __tsan_release(mailbox_of(this));
  call(this, std::move(ptr), eu);
}

intrusive::task_result blocking_actor::mailbox_visitor::operator()(mailbox_element& x) {
  using function = intrusive::task_result(mailbox_visitor*, mailbox_element&);
  static auto* const call = next<function>("_ZN3caf14blocking_actor15mailbox_visitorclERNS_15mailbox_elementE");
  __tsan_acquire(&x);
  return call(this, x);
}

// -- what is sent happens before it is thrown away ----------------------------

bool scheduled_actor::cleanup(error&& reason, execution_unit* host) {
  using function = bool(scheduled_actor*, error&&, execution_unit*);
  static auto* const call = next<function>("_ZN3caf15scheduled_actor7cleanupEONS_5errorEPNS_14execution_unitE");
  __tsan_acquire(mailbox_of(this));
  return call(this, std::move(reason), host);
}

bool blocking_actor::cleanup(error&& reason, execution_unit* host) {
  using function = bool(blocking_actor*, error&&, execution_unit*);
  static auto* const call = next<function>("_ZN3caf14blocking_actor7cleanupEONS_5errorEPNS_14execution_unitE");
  __tsan_acquire(mailbox_of(this));
  return call(this, std::move(reason), host);
}

// -- an actor runs on one thread at a time, after it was made -----------------

void scheduled_actor::launch(execution_unit* eu, bool lazy, bool hide) {
  using function = void(scheduled_actor*, execution_unit*, bool, bool);
  static auto* const call = next<function>("_ZN3caf15scheduled_actor6launchEPNS_14execution_unitEbb");
  __tsan_release(this);
  call(this, eu, lazy, hide);
}

bool scheduled_actor::activate(execution_unit* ctx) {
  using function = bool(scheduled_actor*, execution_unit*);
  static auto* const call = next<function>("_ZN3caf15scheduled_actor8activateEPNS_14execution_unitE");
  __tsan_acquire(this);
  const auto result = call(this, ctx);
  __tsan_release(this);
  return result;
}

scheduled_actor::activation_result scheduled_actor::reactivate(mailbox_element& x) {
  using function = activation_result(scheduled_actor*, mailbox_element&);
  static auto* const call = next<function>("_ZN3caf15scheduled_actor10reactivateERNS_15mailbox_elementE");
  __tsan_acquire(&x);
  __tsan_acquire(this);
  const auto result = call(this, x);
  __tsan_release(this); // before the actor can be given to another thread, as only then it is
  return result;
}

// -- the last one to let go destroys: as in CAF, but instrumented --------------

void ref_counted::deref() const noexcept {
  if (unique())
    request_deletion(false);
  else if (rc_.fetch_sub(1, std::memory_order_acq_rel) == 1)
    request_deletion(true);
}

void intrusive_ptr_release_weak(actor_control_block* x) {
  if (x->weak_refs == 1 || x->weak_refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
    x->block_dtor(x);
}

void intrusive_ptr_release(actor_control_block* x) {
  if (x->strong_refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    x->data_dtor(x->get());
    intrusive_ptr_release_weak(x);
  }
}

} // namespace caf
