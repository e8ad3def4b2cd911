#include <cluster_channel/channels/promise.hpp>

namespace cluster_channel::detail {

void owed_answer::fail(const caf::error& why) noexcept {
  if (is_open())
    fail(failure_of(why));
}

void owed_answer::fail(failure&& why) noexcept {
  if (claim())
    give(std::move(why));
}

void owed_answer::fail_broken() noexcept {
  fail({.code = errc::broken_promise, .text = "the handler dropped its promise without answering"});
}

void owed_answer::expire(failure&& why) noexcept {
  if (!ended_.exchange(true, std::memory_order_acq_rel))
    give(std::move(why));
}

bool owed_answer::claim() noexcept {
  if (ended_.exchange(true, std::memory_order_acq_rel))
    return false;
  if (timers_)
    timers_->cancel(timer_);
  return true;
}

/// An error of a local handler says which slot it came from, as one from a far end does.
void owed_answer::give(answer&& x) noexcept {
  if (call_) {
    std::exchange(call_, nullptr)->finish(std::move(x));
    return;
  }
  if (auto* what = std::get_if<failure>(&x)) {
    make_telling(*what);
    if (what->slot.empty() && slot_) {
      what->slot = *slot_;
      what->param = *param_;
    }
  }
  take_sink()->answered(std::move(x));
}

void continuation_sink<void>::answered(answer&& x) noexcept {
  if (auto* what = std::get_if<failure>(&x))
    done_(make_error(std::move(*what)));
  else
    done_(caf::expected<void>{caf::unit});
}

} // namespace cluster_channel::detail
