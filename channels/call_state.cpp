#include <cluster_channel/channels/call_state.hpp>
#include <cluster_channel/channels/link_reader.hpp>

#include <exception>
#include <string>

namespace cluster_channel::detail {

namespace {

std::string what_was_thrown() {
  try {
    throw;
  } catch (const std::exception& ex) {
    return ex.what();
  } catch (...) {
    return "something was thrown that is no std::exception";
  }
}

} // namespace

failure encoding_failure(const char* what) {
  return {.code = errc::bad_payload, .text = std::string{"the "} + what + " cannot be encoded: " + what_was_thrown()};
}

failure taking_failure(const char* what) {
  return {.code = errc::bad_payload, .text = std::string{"the "} + what + " cannot be taken in: " + what_was_thrown()};
}

void call_progress::settle() noexcept {
  std::function<void()> f; // of a user's: run and destroyed without the lock
  {
    std::lock_guard guard{mutex_};
    done_ = true;
    f.swap(continuation_);
    ready_.notify_all();
  }
  if (f)
    f();
}

void call_progress::on_done(std::function<void()> f) {
  {
    std::lock_guard guard{mutex_};
    if (!done_) {
      continuation_.swap(f); // what it was before goes without the lock
      return;
    }
  }
  f();
}

bool call_progress::wait_until(std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (is_cut_off())
    return true; // nothing will come: see call_state::take
  if (auto* reader = this_thread_reader())
    return read_until(*reader, deadline);
  std::unique_lock guard{mutex_};
  if (deadline)
    return ready_.wait_until(guard, *deadline, [this] { return done_; });
  ready_.wait(guard, [this] { return done_; });
  return true;
}

/// This thread is the one that reads the answers: it goes on doing so.
bool call_progress::read_until(link_reader& reader, std::optional<std::chrono::steady_clock::time_point> deadline) {
  on_done(reader.waker());
  reader.read_until([this] { return is_done(); }, deadline);
  std::function<void()> none;
  std::lock_guard guard{mutex_};
  continuation_.swap(none);
  return done_;
}

bool call_progress::is_done() const {
  std::lock_guard guard{mutex_};
  return done_;
}

} // namespace cluster_channel::detail
