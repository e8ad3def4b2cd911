#include <cluster_channel/channels/answers.hpp>

namespace cluster_channel::detail {

// -- answers_collector --------------------------------------------------------

answers_collector::place_ptr answers_collector::open_place() {
  auto result = make_place();
  std::lock_guard guard{mutex_};
  if (!done_) // else the answer is dropped
    places_.push_back(result);
  ++open_;
  return result;
}

void answers_collector::filled(const failure* why) noexcept {
  std::unique_lock guard{mutex_};
  if (why && !first_failure_ && !done_)
    first_failure_ = *why;
  --open_;
  if (done_)
    return;
  if (why && what_ == collects::to_first_failure) {
    const auto dropped = std::exchange(places_, {});
    finish(guard, {});
  } else if (open_ == 0) {
    finish(guard, std::exchange(places_, {}));
  }
}

void answers_collector::hold() {
  std::lock_guard guard{mutex_};
  ++open_;
}

void answers_collector::release() noexcept {
  std::unique_lock guard{mutex_};
  if (--open_ == 0 && !done_)
    finish(guard, std::exchange(places_, {}));
}

/// Releases the lock.
void answers_collector::finish(std::unique_lock<std::mutex>& guard, std::vector<place_ptr>&& places) noexcept {
  done_ = true;
  auto first = std::exchange(first_failure_, std::nullopt);
  guard.unlock();
  done(std::move(places), std::move(first));
}

// -- event_collector ----------------------------------------------------------

namespace {

class event_place final : public answer_sink {
public:
  explicit event_place(std::shared_ptr<answers_collector> of) : of_{std::move(of)} {}

  void answered(answer&& x) noexcept override {
    if (auto* what = std::get_if<failure>(&x)) {
      make_telling(*what);
      std::exchange(of_, nullptr)->filled(what);
    } else if (const auto done = decode_response<void>(std::get<bytes>(x)); !done) {
      const auto why = failure_of(done.error());
      std::exchange(of_, nullptr)->filled(&why);
    } else {
      std::exchange(of_, nullptr)->filled(nullptr);
    }
  }

private:
  std::shared_ptr<answers_collector> of_;
};

} // namespace

answers_collector::place_ptr event_collector::make_place() {
  return std::make_shared<event_place>(shared_from_this());
}

void event_collector::done(std::vector<place_ptr>&&, std::optional<failure>&& first) noexcept {
  answer result = first ? answer{std::move(*first)} : answer{bytes{}};
  if (call_)
    std::exchange(call_, nullptr)->finish(std::move(result));
  else
    std::exchange(to_, nullptr)->answered(std::move(result));
}

// -- answers_fan_out ----------------------------------------------------------

answers_fan_out::~answers_fan_out() {
  if (make_)
    open(1); // ends with channel_closed, as nobody takes it
}

std::vector<pending_call_ptr> answers_fan_out::open(std::size_t runs) noexcept {
  std::vector<pending_call_ptr> result;
  const auto make = std::exchange(make_, nullptr);
  for (std::size_t i = 0; i < runs; ++i)
    result.push_back(make(to_->open_place()));
  to_->release();
  return result;
}

} // namespace cluster_channel::detail
