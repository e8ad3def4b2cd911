#include <cluster_channel/actors/detail/fork_mark.hpp>
#include <cluster_channel/channels/courier.hpp>
#include <cluster_channel/channels/link_reader.hpp>
#include <cluster_channel/channels/thread_marks.hpp>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>

namespace cluster_channel::detail {

namespace {

/// Sends the answer of one of the master's handlers to the child that asked.
class child_sink final : public answer_sink {
public:
  child_sink(std::shared_ptr<router_target> to, node_id node, call_id call)
      : to_{std::move(to)}, node_{node}, call_{call} {}

  void answered(answer&& x) noexcept override { to_->answer_child({node_, call_, std::move(x)}); }

private:
  std::shared_ptr<router_target> to_;
  node_id node_;
  call_id call_;
};

/// What a courier has taken, in order, and what is open of each node.
class courier_queue {
public:
  courier_queue(std::shared_ptr<router_target> pool, std::shared_ptr<channel_listener> bus)
      : pool_{std::move(pool)}, bus_{std::move(bus)} {}

  void take(child_call&& call) {
    const auto node = call.node;
    std::lock_guard guard{mutex_};
    queue_.emplace_back(std::move(call));
    ++open_[node];
    open_calls_.fetch_add(1, std::memory_order_relaxed);
    changed_.notify_one();
  }

  void take(pool_announcement&& what) {
    std::lock_guard guard{mutex_};
    queue_.emplace_back(std::move(what));
    changed_.notify_one();
  }

  bool follow(node_id node, const std::vector<call_id>& answered, bool after_others) {
    if (!after_others && open_calls_.load(std::memory_order_acquire) == 0)
      return false; // as nearly always
    std::lock_guard guard{mutex_};
    if (waiting_ > 0 || stopping_ || !(after_others || open_.contains(node)))
      return false;
    queue_.emplace_back(answers_may_go{node, answered});
    changed_.notify_one();
    return true;
  }

  void begin_waiting() noexcept {
    std::unique_lock guard{mutex_};
    if (waiting_++ > 0)
      return;
    guard.unlock();
    pool_->let_answers_go({});
  }

  void end_waiting() noexcept {
    std::lock_guard guard{mutex_};
    --waiting_;
  }

  void stop() noexcept {
    std::lock_guard guard{mutex_};
    stopping_ = true;
    changed_.notify_one();
  }

  /// Handles the next of what was taken. @returns false if there is none.
  bool handle_next() {
    std::unique_lock guard{mutex_};
    return !queue_.empty() && handle_next(guard);
  }

  /// Handles all until `stop`.
  void run() {
    std::unique_lock guard{mutex_};
    for (;;) {
      changed_.wait(guard, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty())
        return;
      handle_next(guard);
    }
  }

private:
  using item = std::variant<child_call, pool_announcement, answers_may_go>;

  bool handle_next(std::unique_lock<std::mutex>& guard) {
    auto next = std::move(queue_.front());
    queue_.pop_front();
    guard.unlock();
    const auto* call = std::get_if<child_call>(&next);
    const auto node = call ? call->node : 0;
    try {
      std::visit([this](auto& x) { handle(x); }, next);
    } catch (const std::exception&) { // no memory: what could not be handled ends as it is dropped
    }
    guard.lock();
    if (call) {
      if (auto pos = open_.find(node); --pos->second == 0)
        open_.erase(pos);
      open_calls_.fetch_sub(1, std::memory_order_release);
    }
    return true;
  }

  void handle(child_call& msg) {
    auto sink = std::make_shared<child_sink>(pool_, msg.node, msg.call.id);
    bus_->request_received(std::make_shared<pending_call>(std::move(msg.call.slot), std::move(msg.call.param),
                                                          std::move(msg.call.data), std::move(sink)));
  }

  void handle(const pool_announcement& msg) { pool_->learn(msg.what, *bus_); }

  void handle(answers_may_go& msg) { pool_->let_answers_go(std::move(msg)); }

  const std::shared_ptr<router_target> pool_;
  const std::shared_ptr<channel_listener> bus_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<item> queue_;
  std::unordered_map<node_id, std::size_t> open_; // calls of each node that were taken, and not yet handled
  std::atomic<std::size_t> open_calls_{0};        // the sum of those
  std::size_t waiting_ = 0;                       // brackets that are open
  bool stopping_ = false;
};

/// Lets the answers go while a handler on the courier's thread waits in `call::get`: it may wait for one of them.
class waiting_handler final : public link_reader {
public:
  explicit waiting_handler(courier_queue& queue) : queue_{queue} {}

  void read_until(const std::function<bool()>& done,
                  std::optional<std::chrono::steady_clock::time_point> deadline) override {
    queue_.begin_waiting();
    std::unique_lock guard{wake_->mutex};
    while (!done()) {
      // Who makes it true calls the waker after that, so a wake-up after the look is not missed.
      const auto woken = [this] { return std::exchange(wake_->again, false); };
      if (!deadline)
        wake_->changed.wait(guard, woken);
      else if (!wake_->changed.wait_until(guard, *deadline, woken))
        break;
    }
    guard.unlock();
    queue_.end_waiting();
  }

  std::function<void()> waker() override {
    return [wake = wake_] {
      std::lock_guard guard{wake->mutex};
      wake->again = true;
      wake->changed.notify_one();
    };
  }

private:
  struct wake_up {
    std::mutex mutex;
    std::condition_variable changed;
    bool again = false;
  };

  courier_queue& queue_;
  const std::shared_ptr<wake_up> wake_ = std::make_shared<wake_up>();
};

class courier_thread final : public courier {
public:
  courier_thread(std::shared_ptr<router_target> pool, std::shared_ptr<channel_listener> bus, const void* pool_id)
      : queue_{std::make_shared<courier_queue>(std::move(pool), std::move(bus))} {
    thread_ = std::thread{[queue = queue_, pool_id] {
      pool_of_this_thread = pool_id;
      waiting_handler reader{*queue};
      const reads_on_this_thread while_running{reader};
      queue->run();
    }};
  }

  courier_thread(const courier_thread&) = delete;
  courier_thread& operator=(const courier_thread&) = delete;

  ~courier_thread() override {
    if (!thread_.joinable())
      return;
    if (!mark_.in_copy())
      queue_->stop();
    thread_.detach(); // it keeps what it needs
  }

  void take(child_call&& call) override { queue_->take(std::move(call)); }
  void take(pool_announcement&& what) override { queue_->take(std::move(what)); }
  bool follow(node_id node, const std::vector<call_id>& answered, bool after_others) override {
    return queue_->follow(node, answered, after_others);
  }
  void stop() noexcept override { queue_->stop(); }
  void join() noexcept override { thread_.join(); }
  bool is_this_thread() const noexcept override { return thread_.get_id() == std::this_thread::get_id(); }
  void begin_waiting() noexcept override { queue_->begin_waiting(); }
  void end_waiting() noexcept override { queue_->end_waiting(); }

private:
  const fork_mark mark_;
  const std::shared_ptr<courier_queue> queue_;
  std::thread thread_;
};

struct taken {};

} // namespace

} // namespace cluster_channel::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::detail::taken)

namespace cluster_channel::detail {

namespace {

/// One message for each thing taken, so that the test coordinator sees them one by one.
class courier_actor final : public courier {
public:
  courier_actor(caf::actor_system& system, std::shared_ptr<router_target> pool, std::shared_ptr<channel_listener> bus)
      : queue_{std::make_shared<courier_queue>(std::move(pool), std::move(bus))},
        actor_{system.spawn([queue = queue_](caf::event_based_actor*) -> caf::behavior {
          return {[queue](const taken&) { queue->handle_next(); }};
        })} {}

  void take(child_call&& call) override {
    queue_->take(std::move(call));
    caf::anon_send(actor_, taken{});
  }
  void take(pool_announcement&& what) override {
    queue_->take(std::move(what));
    caf::anon_send(actor_, taken{});
  }
  bool follow(node_id node, const std::vector<call_id>& answered, bool after_others) override {
    const auto result = queue_->follow(node, answered, after_others);
    if (result)
      caf::anon_send(actor_, taken{});
    return result;
  }
  void stop() noexcept override { caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown); }
  void join() noexcept override {}
  bool is_this_thread() const noexcept override { return false; }
  void begin_waiting() noexcept override { queue_->begin_waiting(); }
  void end_waiting() noexcept override { queue_->end_waiting(); }

private:
  const std::shared_ptr<courier_queue> queue_;
  const caf::actor actor_;
};

} // namespace

std::shared_ptr<courier> make_courier(std::shared_ptr<router_target> pool, std::shared_ptr<channel_listener> bus,
                                      const void* pool_id) {
  return std::make_shared<courier_thread>(std::move(pool), std::move(bus), pool_id);
}

std::shared_ptr<courier> make_scheduled_courier(caf::actor_system& system, std::shared_ptr<router_target> pool,
                                                std::shared_ptr<channel_listener> bus) {
  return std::make_shared<courier_actor>(system, std::move(pool), std::move(bus));
}

} // namespace cluster_channel::detail
