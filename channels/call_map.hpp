// Calls a slot for each request of a range, with a bounded number of calls in flight.
//
//   for (auto& [index, answer] : bus.foo.map(requests, {.window = 256}))
//     use(index, answer); // a caf::expected<foo_response>
//
// The range may be endless, and is read only as fast as calls end. The caller is woken for a batch of answers rather
// than for each. Included by slot.hpp.
#pragma once

#include <cluster_channel/channels/call.hpp>
#include <cluster_channel/channels/link_reader.hpp>
#include <cluster_channel/channels/slot_options.hpp>

#include <caf/actor_cast.hpp>
#include <caf/behavior.hpp>
#include <caf/expected.hpp>
#include <caf/scheduled_actor.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace cluster_channel {

/// How `slot::map` calls.
struct map_options {
  /// Most calls that are in flight, or answered and not yet taken, at a time. At least 1.
  std::size_t window = 256;

  /// Answers come in the order of the requests; else as calls end.
  bool ordered = true;

  /// The first answer that is a failure is the last one: no further call is made, and answers to calls that are still
  /// in flight are dropped. Else failures are answers like others.
  bool stop_at_failure = false;

  /// Parameter and limits of each call.
  call_options call = {};
};

/// One answer of `slot::map`.
template <class Response>
struct mapped_answer {
  std::size_t index = 0; ///< of its request in the range, counted from 0
  caf::expected<Response> answer = caf::expected<Response>{caf::error{}};
};

namespace detail {

/// The answers of one `map`: shared by the caller, who takes them, and the calls in flight. Thread-safe.
template <class Response>
class map_state {
public:
  using answer_type = mapped_answer<Response>;

  map_state(std::size_t window, bool ordered) : ordered_{ordered}, places_(std::max<std::size_t>(window, 1)) {
    for (std::size_t i = places_.size(); i > 0; --i)
      free_.push_back(i - 1);
  }

  // -- for the caller's thread --------------------------------------------------

  /// How many more calls may be made now.
  std::size_t room() const {
    std::lock_guard guard{mutex_};
    return free_.size();
  }

  /// Makes room for the answer to request `index`. @returns its place.
  std::size_t open(std::size_t index) {
    std::lock_guard guard{mutex_};
    const auto place = free_.back();
    free_.pop_back();
    places_[place].index = index;
    ++in_flight_;
    if (ordered_)
      line_.push_back(place);
    return place;
  }

  std::optional<answer_type> take() {
    std::lock_guard guard{mutex_};
    if (!can_take())
      return std::nullopt;
    const auto place = line_.front();
    line_.pop_front();
    auto& from = places_[place];
    answer_type result{from.index, std::move(*from.answer)};
    from.answer.reset();
    free_.push_back(place);
    --answered_;
    return result;
  }

  /// Waits until there is something to take. To be called while a call is in flight.
  void wait() {
    if (auto* reader = this_thread_reader()) {
      set_waker(reader->waker(), 1);
      reader->read_until([this] { return something_to_take(); }, std::nullopt);
      set_waker(nullptr, 0);
      return;
    }
    std::unique_lock guard{mutex_};
    // As long as answers come fast, a wake-up is worth several of them.
    wake_at_ = std::max<std::size_t>(1, std::min(answered_ + in_flight_, places_.size() / 2));
    if (!ready_.wait_for(guard, company_wait, [this] { return is_worth_waking(); })) {
      wake_at_ = 1;
      ready_.wait(guard, [this] { return can_take(); });
    }
    wake_at_ = 0;
  }

  /// Calls `wake` once, on the thread that ends a call, as soon as there is something to take. @returns false, calling
  /// nothing, if there is something now.
  bool wake_once(std::function<void()> wake) {
    std::lock_guard guard{mutex_};
    if (can_take())
      return false;
    waker_ = std::move(wake);
    wakes_once_ = true;
    wake_at_ = 1;
    return true;
  }

  // -- for the threads that end calls -------------------------------------------

  void answered(std::size_t place, caf::expected<Response>&& x) {
    std::unique_lock guard{mutex_};
    places_[place].answer.emplace(std::move(x));
    if (!ordered_)
      line_.push_back(place);
    --in_flight_;
    ++answered_;
    if (!is_worth_waking())
      return;
    if (!waker_) {
      guard.unlock();
      ready_.notify_one();
      return;
    }
    auto wake = waker_;
    if (wakes_once_) {
      waker_ = nullptr;
      wake_at_ = 0;
    }
    guard.unlock();
    wake();
  }

private:
  struct entry {
    std::size_t index = 0;
    std::optional<caf::expected<Response>> answer;
  };

  /// How long a thread waits for a batch of answers before it takes single ones.
  static constexpr auto company_wait = std::chrono::milliseconds{1};

  bool can_take() const { return !line_.empty() && places_[line_.front()].answer; }
  bool is_worth_waking() const { return wake_at_ > 0 && can_take() && (answered_ >= wake_at_ || in_flight_ == 0); }

  bool something_to_take() const {
    std::lock_guard guard{mutex_};
    return can_take();
  }

  void set_waker(std::function<void()> wake, std::size_t at) {
    std::lock_guard guard{mutex_};
    waker_ = std::move(wake);
    wakes_once_ = false;
    wake_at_ = at;
  }

  const bool ordered_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<entry> places_;
  std::vector<std::size_t> free_;
  std::deque<std::size_t> line_; // places in the order in which they are taken
  std::size_t in_flight_ = 0;
  std::size_t answered_ = 0; // and not taken
  std::size_t wake_at_ = 0;  // so many answers are worth a wake-up; 0: nobody waits
  bool wakes_once_ = false;
  std::function<void()> waker_; // instead of ready_
};

} // namespace detail

/// The answers to the calls of a range of requests, as an input range that is read once. Calls are made while it is
/// read. It may be dropped at any time: then no further call is made, and calls in flight go on without anybody.
/// Not thread-safe; one thread, or actor, at a time.
/// `Requests` is the range, or a reference to it if it was given as an lvalue: then it must outlive this.
template <class Slot, class Requests>
class mapped_calls {
public:
  using response_type = typename Slot::response_type;
  using value_type = mapped_answer<response_type>;

  mapped_calls(Slot slot, Requests requests, map_options options)
      : slot_{std::move(slot)},
        requests_{std::forward<Requests>(requests)},
        options_{std::move(options)},
        state_{std::make_shared<detail::map_state<response_type>>(options_.window, options_.ordered)} {}

  mapped_calls(mapped_calls&&) = default; // NOLINT(performance-noexcept-move-constructor): as the range does
  mapped_calls& operator=(mapped_calls&&) = delete;

  class iterator {
  public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = mapped_calls::value_type;
    using difference_type = std::ptrdiff_t;

    iterator() = default;
    explicit iterator(mapped_calls* from) : from_{from} {}

    value_type& operator*() const { return *from_->current_; }
    iterator& operator++() {
      from_->advance();
      return *this;
    }
    void operator++(int) { from_->advance(); }
    friend bool operator==(const iterator& x, std::default_sentinel_t) { return x.at_end(); }

  private:
    bool at_end() const { return !from_ || !from_->current_; } // a friend of this class is none of the range's

    mapped_calls* from_ = nullptr;
  };

  /// Makes the first calls, and waits for the first answer.
  iterator begin() {
    advance();
    return iterator{this};
  }

  std::default_sentinel_t end() const noexcept { return {}; }

  /// Takes the answers inside the actor `self` instead: `on_answer(std::size_t index, caf::expected<Response>&)` runs
  /// for each, then `on_done()`, as part of its message handlers, unless it ends before. To be called by `self`.
  template <class Self, class OnAnswer, class OnDone>
  void then(Self* self, OnAnswer on_answer, OnDone on_done) && {
    static_assert(std::is_base_of_v<caf::scheduled_actor, Self>,
                  "then() needs an event-based actor; in a blocking actor or outside of actors read the range");
    auto all = std::make_shared<mapped_calls>(std::move(*this));
    drain(self, std::move(all), std::move(on_answer), std::move(on_done));
  }

private:
  void advance() {
    current_.reset();
    for (;;) {
      if (next())
        return;
      if (in_flight() == 0)
        return;
      state_->wait();
    }
  }

  /// Takes the next answer that is there, and makes calls as far as there is room. @returns whether there was one.
  bool next() {
    // Several calls at a time, so that they travel together.
    if (stopped_)
      return false;
    if (taken_since_ == 0 || taken_since_ >= (options_.window + 1) / 2)
      make_calls();
    current_ = state_->take();
    if (!current_) {
      make_calls();
      current_ = state_->take(); // one without a far end ends within its call
    }
    if (!current_)
      return false;
    ++taken_;
    ++taken_since_;
    stopped_ = options_.stop_at_failure && !current_->answer;
    return true;
  }

  void make_calls() {
    taken_since_ = 0;
    if (!reading_)
      reading_.emplace(std::begin(requests_));
    for (auto room = state_->room(); room > 0 && *reading_ != std::end(requests_); --room, ++*reading_) {
      const auto place = state_->open(made_++);
      slot_(**reading_, options_.call).on_result([state = state_, place](caf::expected<response_type> x) {
        state->answered(place, std::move(x));
      });
    }
  }

  std::size_t in_flight() const noexcept { return stopped_ ? 0 : made_ - taken_; }

  template <class Self, class OnAnswer, class OnDone>
  static void drain(Self* self, std::shared_ptr<mapped_calls> all, OnAnswer on_answer, OnDone on_done) {
    for (;;) {
      while (all->next())
        on_answer(all->current_->index, all->current_->answer);
      if (all->in_flight() == 0) {
        on_done();
        return;
      }
      const auto id = self->new_request_id(caf::message_priority::normal).response_id();
      auto wake = [actor = caf::actor_cast<caf::strong_actor_ptr>(self), id] {
        actor->enqueue(nullptr, id, caf::make_message(detail::call_done{}), nullptr);
      };
      if (!all->state_->wake_once(std::move(wake)))
        continue; // an answer came meanwhile
      self->add_multiplexed_response_handler(
          id, caf::behavior{[self, all, on_answer, on_done](const detail::call_done&) mutable {
            drain(self, std::move(all), std::move(on_answer), std::move(on_done));
          }});
      return;
    }
  }

  Slot slot_;
  Requests requests_;
  map_options options_;
  std::shared_ptr<detail::map_state<response_type>> state_;
  std::optional<decltype(std::begin(std::declval<std::remove_reference_t<Requests>&>()))> reading_;
  std::optional<value_type> current_;
  std::size_t made_ = 0;
  std::size_t taken_ = 0;
  std::size_t taken_since_ = 0; // since calls were made last
  bool stopped_ = false;
};

} // namespace cluster_channel
