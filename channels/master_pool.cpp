#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/router.hpp>
#include <cluster_channel/actors/supervisor.hpp>
#include <cluster_channel/channels/master_pool.hpp>
#include <cluster_channel/channels/router_target.hpp>
#include <cluster_channel/channels/thread_marks.hpp>

#include <caf/defaults.hpp>
#include <caf/exit_reason.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/logger.hpp>
#include <caf/send.hpp>
#include <caf/thread_hook.hpp>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace cluster_channel::detail {

namespace {

/// How long the end of a pool waits for a process host that cannot end, as a launch of its is stuck.
std::chrono::milliseconds host_grace(const pool_options& options) {
  return std::clamp<std::chrono::milliseconds>(options.kill_grace, std::chrono::milliseconds{200},
                                               std::chrono::hours{24});
}

/// Marks the threads of a pool's own actor system, see thread_marks.hpp.
class mark_threads final : public caf::thread_hook {
public:
  explicit mark_threads(const void* pool) : pool_{pool} {}
  void init(caf::actor_system&) override {}
  void thread_started() override { pool_of_this_thread = pool_; }
  void thread_terminates() override {}

private:
  const void* pool_;
};

std::size_t threads_of_this_process() {
  std::error_code ignored;
  const std::filesystem::directory_iterator tasks{"/proc/self/task", ignored};
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

/// Throws std::system_error unless `count` threads can be started. CAF ends the program if an actor system finds that
/// out itself.
void look_for_threads(std::size_t count) {
  const auto before = threads_of_this_process();
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  std::vector<std::thread> threads;
  const auto end_all = [&] {
    std::unique_lock guard{mutex};
    over = true;
    changed.notify_all();
    guard.unlock();
    for (auto& thread : threads)
      thread.join();
  };
  try {
    threads.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      threads.emplace_back([&] {
        std::unique_lock guard{mutex};
        changed.wait(guard, [&] { return over; });
      });
  } catch (...) {
    end_all();
    throw;
  }
  end_all();
  // A thread that was joined still counts for a moment. Others may have come meanwhile: so not for ever.
  for (int i = 0; i < 1000 && threads_of_this_process() > before; ++i)
    std::this_thread::yield();
}

/// Whether the thread-local objects of this thread have been destroyed, CAF's pointer among them: so on the main thread
/// when static objects are. To be asked once while they live.
bool thread_has_ended() noexcept {
  thread_local bool ended = false; // stays readable, as it has no destructor
  struct at_end {
    ~at_end() { ended = true; }
  };
  static thread_local at_end sees_it;
  static_cast<void>(sees_it);
  return ended;
}

/// So that `system` can be destroyed although this thread spawned actors in it.
void forget_on_this_thread(caf::actor_system& system) {
  if (!thread_has_ended() && caf::logger::current_logger() == &system.logger())
    caf::logger::set_current_actor_system(nullptr);
}

void warn_of(const pool_closed& report) {
  for (const auto& left : report.left_behind)
    std::cerr << "cluster_channel: node " << left.node
              << (left.pid == 0 ? " is left behind: its launch has not ended"
                                : " is left behind: process " + std::to_string(left.pid) + " has not ended")
              << " within exit_grace, term_grace and kill_grace\n";
}

pool_options mark_output_thread(pool_options options, const void* pool) {
  if (options.on_output)
    options.on_output = [f = std::move(options.on_output), pool](const output_line& line) {
      pool_of_this_thread = pool;
      f(line);
    };
  return options;
}

hello greeting(std::vector<slot_declaration> slots) {
  return {protocol_version, binary_codec, std::move(slots)};
}

} // namespace

/// An actor system and what it was configured with, in the order in which they must live.
struct master_pool::own_system {
  struct config : actor_system_config {
    explicit config(const void* pool) {
      add_thread_hook<mark_threads>(pool);
      const auto workers = caf::get_or(*this, "scheduler.max-threads", caf::defaults::scheduler::max_threads);
      look_for_threads(workers + 2 + 2); // the clock's and the event loop's, and some for others
    }
  };

  explicit own_system(const void* pool) : config_{pool} {}

  config config_;
  caf::actor_system system{config_};
};

/// Lets threads that are no actors wait for what router and supervisor do. Thread-safe.
class master_pool::actor_watch {
public:
  /// Runs `f` under the lock, and then looks who waits for it.
  template <class F>
  void change(const F& f) {
    const std::lock_guard guard{mutex_};
    f();
    changed_.notify_all();
  }

  /// Waits until all that is watched has ended.
  void wait_for_ends() {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [&] { return ended_ == watched_; });
  }

  /// Waits until `done`, or until something that is watched has ended.
  template <class Done>
  void wait_for(const Done& done) {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [&] { return ended_ > 0 || done(); });
  }

  /// Counts the end of `who`.
  static void watch(const std::shared_ptr<actor_watch>& self, const caf::actor& who) {
    who->attach_functor([self] { self->change([&] { ++self->ended_; }); });
    self->change([&] { ++self->watched_; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t watched_ = 0;
  std::size_t ended_ = 0;
};

/// What a process host tells goes through here to the supervisor, if there is one. Thread-safe.
class master_pool::supervisor_door {
public:
  void open(caf::actor supervisor) {
    const std::lock_guard guard{mutex_};
    supervisor_ = std::move(supervisor);
  }

  void close() {
    std::unique_lock guard{mutex_};
    const auto last = std::exchange(supervisor_, nullptr);
    guard.unlock();
  }

  void tell(process_event event) {
    const std::lock_guard guard{mutex_};
    if (supervisor_)
      tell_supervisor(supervisor_, std::move(event));
    else if (const auto* started = std::get_if<process_started>(&event))
      const started_process nobody_takes_it{*started};
  }

private:
  std::mutex mutex_;
  caf::actor supervisor_;
};

// -- making -------------------------------------------------------------------

std::unique_ptr<master_pool> master_pool::make(caf::actor_system* system, pool_options options,
                                               const host_factory& make_host) {
  if (system && !system->has_middleman())
    throw std::invalid_argument("master_channel: the actor system has no I/O module; use cluster_channel::"
                                "actor_system_config, or call cluster_channel::configure on your own config");
  auto result = std::unique_ptr<master_pool>{new master_pool{system, std::move(options)}};
  auto& pool = *result;
  pool.thread_ = std::make_unique<pool_thread>();
  auto thread = std::move(pool.thread_);
  thread
      ->post([&] {
        try {
          pool.start(make_host);
        } catch (...) {
          pool.end_actors();
          result = nullptr;
          throw;
        }
      })
      .get();
  pool.thread_ = std::move(thread);
  return result;
}

master_pool::master_pool(caf::actor_system* system, pool_options options)
    : options_{std::move(options)},
      inbox_{make_router_inbox(options_)},
      watch_{std::make_shared<actor_watch>()},
      door_{std::make_shared<supervisor_door>()},
      system_{system} {
  thread_has_ended(); // asked while this thread's objects live
}

master_pool::~master_pool() = default;

void master_pool::start(const host_factory& make_host) {
  // The host first: it starts threads, which can fail, and is the easiest to end.
  host_ = make_host(process_specs_of(mark_output_thread(options_, id())),
                    [door = door_](process_event event) { door->tell(std::move(event)); });
  if (!system_) {
    own_ = std::make_unique<own_system>(id());
    system_ = &own_->system;
  }
  start_actors();
}

void master_pool::start_actors() {
  settings_->set({.options = options_, .greeting = greeting({}), .forms = forms_source()});
  router_ = spawn_router(*system_, options_, inbox_);
  actor_watch::watch(watch_, router_);
  auto make_proxy = [system = system_, router = router_, settings = settings_](
                        const caf::actor& supervisor, const process_started& process, std::size_t program) {
    return spawn_child_proxy(*system, supervisor, router, process, settings->get(), program);
  };
  supervisor_ = spawn_supervisor(*system_, options_, router_, std::move(make_proxy));
  actor_watch::watch(watch_, supervisor_);
  door_->open(supervisor_);
  caf::anon_send(supervisor_, attach_host{host_});
}

// -- ending -------------------------------------------------------------------

void master_pool::end(std::unique_ptr<master_pool> pool) {
  if (!pool)
    return;
  if (pool->mark_.in_copy()) { // its threads are not here, and its children are not ours
    static_cast<void>(pool.release());
    return;
  }
  const auto on_io_thread = pool->on_io_thread();
  const auto ours = on_io_thread || pool_of_this_thread == pool->id();
  if (!on_io_thread)
    warn_of(pool->close(pool->options_.drain_timeout));
  if (!ours && pool->own_)
    forget_on_this_thread(pool->own_->system);
  // A system of the user's must not go before the rest is done.
  const auto grace = host_grace(pool->options_);
  auto* held_system = ours && !pool->own_ ? pool->system_ : nullptr;
  if (held_system)
    held_system->registry().inc_running();
  const auto thread = std::move(pool->thread_);
  auto host = std::move(pool->host_);
  auto actors_end = thread->post([pool = std::shared_ptr{std::move(pool)}, on_io_thread, held_system]() mutable {
    if (on_io_thread)
      warn_of(pool->close(pool->options_.drain_timeout));
    pool->end_actors();
    pool.reset();
    if (held_system)
      held_system->middleman().backend().post([held_system] { held_system->registry().dec_running(); });
  });
  auto host_ends = thread->post([host = std::move(host)]() mutable { host.reset(); });
  if (ours) {
    thread->leave();
    return;
  }
  actors_end.wait();
  if (host_ends.wait_for(grace) != std::future_status::ready) {
    std::cerr << "cluster_channel: the threads of the process host are left behind: a launch has not ended\n";
    thread->leave();
  }
}

/// Ends all that uses the actor system, and the system if it is the pool's own.
void master_pool::end_actors() {
  if (router_)
    caf::anon_send_exit(router_, caf::exit_reason::user_shutdown);
  if (supervisor_)
    caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
  watch_->wait_for_ends();
  door_->close();
  if (target_)
    target_->detach();
  if (courier_) {
    courier_->stop();
    courier_->join();
    courier_ = nullptr;
  }
  target_ = nullptr;
  router_ = nullptr;
  supervisor_ = nullptr;
  own_ = nullptr;
}

/// Ends what a supervisor left that did not come to closing.
void master_pool::end_host() {
  auto host_ends = thread_->post([this] { host_ = nullptr; });
  if (pool_of_this_thread != id())
    host_ends.wait_for(host_grace(options_));
}

// -- using --------------------------------------------------------------------

template <class Answer>
class master_pool::reply {
public:
  explicit reply(std::shared_ptr<actor_watch> watch) : watch_{std::move(watch)} {}

  /// What an actor calls with its answer.
  std::function<void(const Answer&)> taker() const {
    return [watch = watch_, value = value_](const Answer& x) { watch->change([&] { *value = x; }); };
  }

  /// To be asked by what `actor_watch` waits with, or after it.
  bool came() const { return value_->has_value(); }

  std::optional<Answer> take() {
    std::optional<Answer> result;
    watch_->change([&] { result = std::move(*value_); });
    return result;
  }

private:
  const std::shared_ptr<actor_watch> watch_;
  const std::shared_ptr<std::optional<Answer>> value_ = std::make_shared<std::optional<Answer>>();
};

pool_closed master_pool::close(std::chrono::milliseconds drain_timeout) {
  if (mark_.in_copy())
    return {};
  refuse_on_io_thread("close");
  const auto waits = courier_of_this_thread();
  if (waits)
    waits->begin_waiting();
  reply<pool_closed> report{watch_};
  caf::anon_send(supervisor_, close_query{drain_timeout, report.taker()});
  watch_->wait_for_ends(); // they come after the answer
  if (waits)
    waits->end_waiting();
  if (auto result = report.take())
    return std::move(*result);
  end_host();
  return {};
}

pool_stats master_pool::stats() const {
  if (mark_.in_copy())
    return {};
  refuse_on_io_thread("stats");
  reply<pool_stats> result{watch_};
  caf::anon_send(router_, stats_query{result.taker()});
  watch_->wait_for([&] { return result.came(); });
  return result.take().value_or(pool_stats{});
}

std::shared_ptr<call_target> master_pool::connect(std::shared_ptr<channel_listener> listener) {
  if (mark_.in_copy())
    throw std::logic_error("master_channel: this process is a forked copy of the one that the channel belongs to");
  const std::lock_guard guard{connect_mutex_};
  if (target_)
    throw std::logic_error("this master_channel already serves an event_bus: make one channel for each bus");
  auto target = router_target::make(router_, inbox_, options_.timeout);
  const auto forms = listener->forms();
  auto settings = std::make_shared<const link_settings>(
      link_settings{.options = options_, .greeting = greeting(listener->slots()), .forms = forms_source()});
  std::shared_ptr<courier> its_courier = make_courier(target, std::move(listener), id());
  forms_->set(forms);
  settings_->set(std::move(settings));
  caf::anon_send(router_, attach_bus{its_courier});
  courier_ = std::move(its_courier);
  target_ = std::move(target);
  return target_;
}

void master_pool::undo_connect() {
  std::shared_ptr<courier> its_courier;
  {
    const std::lock_guard guard{connect_mutex_};
    its_courier = std::exchange(courier_, nullptr);
    target_ = nullptr;
  }
  if (!its_courier)
    return;
  caf::anon_send(router_, attach_bus{});
  its_courier->stop();
  its_courier->join();
}

caf::actor_system& master_pool::system() const noexcept {
  thread_has_ended(); // who asks for the system will use it on this thread
  return *system_;
}

bool master_pool::on_io_thread() const {
  return system_->middleman().backend().thread_id() == std::this_thread::get_id();
}

void master_pool::refuse_on_io_thread(const char* what) const {
  if (on_io_thread())
    throw std::logic_error(std::string{"master_channel::"} + what +
                           ": called on the thread of the event loop, for which it would wait for ever, as in "
                           "on_result: call it on another thread, or send a message to router() or supervisor()");
}

/// The courier, if this is its thread: a handler of the master's runs.
std::shared_ptr<courier> master_pool::courier_of_this_thread() const {
  const std::lock_guard guard{connect_mutex_};
  return courier_ && courier_->is_this_thread() ? courier_ : nullptr;
}

/// For proxies that were made before the bus too.
json_forms_source master_pool::forms_source() const {
  return [forms = forms_] { return forms->get(); };
}

} // namespace cluster_channel::detail
