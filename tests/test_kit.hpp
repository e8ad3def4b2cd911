// The test kit: a pool without processes, in virtual time, for tests of handlers and of code that calls slots.
//
//   cluster_channel::test::pool<events> pool{{.nodes = 2}};
//   with_master(pool.child());                  // what the child does
//   auto answer = pool.bus().foo({20});         // what the master does
//   pool.run();
//   EXPECT_EQ(answer.get(0s)->baz, 40);
//
// Router and supervisor are the real ones, under CAF's test coordinator; processes and links are scripted: a node may
// start late, answer late, die of a call, refuse to end. Nothing happens but in `run` and `advance`, so a test is
// deterministic and never sleeps. One thread only. Needs no test framework.
#pragma once

#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/actors/router.hpp>
#include <cluster_channel/actors/supervisor.hpp>
#include <cluster_channel/channels/courier.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/generic_channel.hpp>
#include <cluster_channel/channels/router_target.hpp>
#include <cluster_channel/channels/timers.hpp>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace cluster_channel::test {

/// How a scripted node behaves. The defaults are those of a perfect one.
struct node_script {
  caf::error launch_error{};                       ///< if set, the node cannot be launched
  bool launch_error_is_permanent = true;           ///< trying again cannot help
  std::chrono::milliseconds hello_after{0};        ///< from launch to its hello
  std::optional<exit_status> exits_before_hello{}; ///< it ends instead of saying hello
  std::chrono::milliseconds answers_after{0};      ///< from a call to its answer
  std::optional<std::size_t> dies_of_call{};       ///< it ends when it is given its n-th call, counted from 1
  exit_status dies_with{true, SIGKILL};            ///< how it ends then
  bool ends_at_end_of_file = true;                 ///< it ends with code 0 when its link is closed
  bool ends_at_sigterm = true;                     ///< SIGTERM ends it
  bool ends_at_sigkill = true;                     ///< so does SIGKILL: false stands for a process that nothing ends
  bool launch_hangs = false;                       ///< its launch does not end, as `exec` is stuck
};

/// A configuration for a `caf::actor_system` under CAF's test coordinator, as `pool` uses it.
class system_config : public caf::actor_system_config {
public:
  system_config() { set("scheduler.policy", caf::atom("testing")); }
};

namespace detail {

struct answer_due {
  request call{};
};
struct hello_due {};

} // namespace detail

} // namespace cluster_channel::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::test::detail::answer_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::test::detail::hello_due)

namespace cluster_channel::test {

template <class Events>
class pool {
public:
  /// Options that concern processes and sockets have no effect; the default of `nodes` is 1 here.
  explicit pool(pool_options options = {}) : options_{with_test_defaults(std::move(options))} {
    const auto inbox = make_router_inbox(options_);
    router_ = spawn_scheduled_router(system_, options_, inbox);
    supervisor_ =
        spawn_supervisor(system_, options_, router_, [this](const caf::actor&, const process_started& x, std::size_t) {
          return spawn_node(x.node, x.pid);
        });
    host_ = std::make_shared<scripted_host>(*this);
    caf::anon_send(supervisor_, attach_host{host_});
    link_.pool = this;
    link_.target = cluster_channel::detail::router_target::make(router_, inbox, options_.timeout);
    timers_ = make_actor_timers(system_);
    bus_ = std::make_unique<event_bus<Events>>(bus_options{.channels = {&link_}, .timers = timers_});
    child_ = std::make_unique<event_bus<Events>>(bus_options{.channels = {&far_link_}, .timers = timers_});
  }

  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  ~pool() {
    link_.target->detach();
    far_link_.stop();
    caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
    link_.courier->stop();
    coordinator().run();
    host_->detach();
  }

  /// The master's bus.
  event_bus<Events>& bus() noexcept { return *bus_; }

  /// The bus of every node: register here what the child does.
  event_bus<Events>& child() noexcept { return *child_; }

  /// How nodes behave that have no script of their own; for nodes launched from now on.
  void script_all(node_script script) { default_script_ = std::move(script); }

  /// How node `node` will behave; nodes count from 1 in the order of their launch.
  void script(node_id node, node_script script) { scripts_[node] = std::move(script); }

  /// Lets everything happen that can happen without time passing.
  void run() {
    do
      coordinator().run();
    while (coordinator().advance_time(caf::timespan::zero()) > 0);
  }

  /// Lets `time` pass, in steps so small that what a timeout causes can cause the next one in time.
  void advance(std::chrono::milliseconds time) {
    const auto step = std::max<std::chrono::milliseconds>(std::chrono::milliseconds{1}, time / 10'000);
    run();
    for (auto left = time; left > std::chrono::milliseconds::zero(); left -= step) {
      coordinator().advance_time(std::min(left, step));
      run();
    }
  }

  /// Ends a running node, as if by itself.
  void end_node(node_id node, exit_status status) { host_->exit(node, status); }

  /// Nodes that were launched and have not ended, in order.
  std::vector<node_id> live_nodes() const { return host_->live(); }

  /// How many nodes were launched so far, failed launches included.
  std::size_t launches() const noexcept { return launches_; }

  /// Which of the options' programs `node` was launched with, counted from 0: `more_programs` begin at 1.
  std::size_t program_of(node_id node) const { return programs_.at(node); }

  /// Signals sent to nodes so far, in order.
  const std::vector<std::pair<node_id, int>>& signals() const noexcept { return signals_; }

  /// Calls given to `node` so far.
  std::size_t calls_given_to(node_id node) const {
    auto pos = calls_given_.find(node);
    return pos == calls_given_.end() ? 0 : pos->second;
  }

  /// What the pool is doing now.
  pool_stats stats() {
    pool_stats result;
    system_.spawn([this, &result](caf::event_based_actor* self) {
      self->request(router_, caf::infinite, get_pool_stats{}).then([&result](const pool_stats& x) { result = x; });
    });
    run();
    return result;
  }

  caf::actor_system& system() noexcept { return system_; }
  const caf::actor& router() const noexcept { return router_; }
  const caf::actor& supervisor() const noexcept { return supervisor_; }

  caf::scheduler::test_coordinator& coordinator() {
    return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
  }

private:
  /// Connects the master's bus to the router.
  struct pool_link final : channel {
    std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) override {
      courier = cluster_channel::detail::make_scheduled_courier(pool->system_, target, std::move(listener));
      caf::anon_send(pool->router_, attach_bus{courier});
      return target;
    }
    test::pool<Events>* pool = nullptr;
    std::shared_ptr<cluster_channel::detail::router_target> target;
    std::shared_ptr<cluster_channel::detail::courier> courier;
  };

  /// The child's end of the links of all nodes.
  class node_link final : public generic_channel {
  public:
    explicit node_link(test::pool<Events>& owner) : owner_{owner} { connected(); }
    ~node_link() override { detach(); }

    void stop() noexcept { detach(); }

    /// Runs the handlers for a call to `node`.
    void handle(node_id node, const request& call) {
      asked_[call.id] = node;
      const auto before = std::exchange(current_, node);
      message_received(call);
      current_ = before;
    }

    void tell(message msg) { message_received(std::move(msg)); }

    /// What a node says when it has started.
    void introduce(node_id node) const {
      for (const auto& [slot, param] : registered_)
        caf::anon_send(owner_.router_, node_announcement{node, handler_registered{slot, param}});
      if (ignored_)
        caf::anon_send(owner_.router_, node_announcement{node, *ignored_});
    }

  private:
    caf::error send(message msg) override {
      if (auto* call = std::get_if<request>(&msg)) {
        // A call from outside of a handler comes from the first node.
        const auto live = owner_.live_nodes();
        const auto node = current_ != 0 || live.empty() ? current_ : live.front();
        caf::anon_send(owner_.router_, child_call{node, std::move(*call)});
      } else if (auto* result = std::get_if<response>(&msg)) {
        answer(result->id, std::move(result->data));
      } else if (auto* err = std::get_if<error_message>(&msg)) {
        answer(err->id, std::move(err->what));
      } else if (!std::holds_alternative<hello>(msg)) {
        remember(msg);
        for (auto node : owner_.ready_)
          caf::anon_send(owner_.router_, node_announcement{node, msg});
      }
      return {};
    }

    void answer(call_id id, cluster_channel::answer&& x) {
      auto node = asked_.extract(id);
      if (node.empty())
        return;
      calls_finished event{node.mapped(), {}};
      event.calls.push_back({id, std::move(x)});
      caf::anon_send(owner_.router_, std::move(event));
    }

    void remember(const message& msg) {
      if (const auto* added = std::get_if<handler_registered>(&msg))
        registered_.insert({added->slot, added->param});
      else if (const auto* removed = std::get_if<handler_unregistered>(&msg))
        registered_.erase({removed->slot, removed->param});
      else if (const auto* list = std::get_if<event_list>(&msg))
        ignored_ = *list;
    }

    test::pool<Events>& owner_;
    std::map<call_id, node_id> asked_;
    std::set<std::pair<std::string, std::string>> registered_;
    std::optional<event_list> ignored_;
    node_id current_ = 0; // whose handlers run
  };

  /// "Processes" that do what their scripts say.
  class scripted_host final : public process_host {
  public:
    explicit scripted_host(pool& owner) : owner_{&owner} {}

    void launch(node_id node, std::size_t program) override {
      ++owner_->launches_;
      owner_->programs_[node] = program;
      const auto& script = owner_->script_of(node);
      if (script.launch_error) {
        tell(process_failed{node, script.launch_error, script.launch_error_is_permanent});
        return;
      }
      if (script.launch_hangs)
        return;
      live_.push_back(node);
      tell(process_started{node, pid_of(node), -1});
      if (script.exits_before_hello)
        exit(node, *script.exits_before_hello);
    }

    void signal(node_id node, int signo) override {
      owner_->signals_.emplace_back(node, signo);
      const auto& script = owner_->script_of(node);
      if ((signo == SIGKILL && script.ends_at_sigkill) || (signo == SIGTERM && script.ends_at_sigterm))
        exit(node, {true, signo});
    }

    void exit(node_id node, exit_status status) {
      if (std::erase(live_, node) > 0)
        tell(process_exited{node, status});
    }

    std::vector<node_id> live() const { return live_; }
    void detach() noexcept { owner_ = nullptr; }

  private:
    template <class Event>
    void tell(Event event) {
      if (owner_)
        caf::anon_send(owner_->supervisor_, std::move(event));
    }

    static std::int32_t pid_of(node_id node) { return static_cast<std::int32_t>(1000 + node); }

    pool* owner_;
    std::vector<node_id> live_;
  };

  static pool_options with_test_defaults(pool_options options) {
    options.nodes = std::max<std::size_t>(options.nodes, 1);
    if (options.launches_max == 0)
      options.launches_max = nodes_of(options); // whatever machine the test runs on
    if (options.executable.empty())
      options.executable = "scripted child";
    if (auto err = validate(options))
      throw std::invalid_argument("test::pool: " + failure_of(err).text);
    return options;
  }

  const node_script& script_of(node_id node) const {
    auto pos = scripts_.find(node);
    return pos == scripts_.end() ? default_script_ : pos->second;
  }

  caf::actor spawn_node(node_id node, std::int32_t pid) {
    return system_.spawn([this, node, pid](caf::event_based_actor* self) -> caf::behavior {
      self->link_to(supervisor_);
      self->attach_functor([this, node] { ready_.erase(node); });
      if (!script_of(node).exits_before_hello)
        self->delayed_send(self, script_of(node).hello_after, detail::hello_due{});
      return {
          [this, node](const detail::hello_due&) {
            caf::anon_send(supervisor_, node_hello{node, slots()});
            ready_.insert(node);
            far_link_.introduce(node);
          },
          [this](const tell_child& msg) {
            for (const auto& each : msg.messages)
              far_link_.tell(each);
          },
          [this](child_answer& msg) {
            if (auto* data = std::get_if<bytes>(&msg.result))
              far_link_.tell(response{msg.call, std::move(*data)});
            else
              far_link_.tell(error_message{msg.call, std::move(std::get<failure>(msg.result))});
          },
          [this, self, node](const assign_calls& msg) {
            for (const auto& call : msg.calls) {
              const auto& script = script_of(node);
              if (++calls_given_[node] == script.dies_of_call)
                host_->exit(node, script.dies_with);
              else if (script.answers_after > std::chrono::milliseconds::zero())
                self->delayed_send(self, script.answers_after, detail::answer_due{call});
              else
                handle(node, call);
            }
          },
          [this, node](const detail::answer_due& msg) { handle(node, msg.call); },
          [this, node](const shut_link&) {
            if (script_of(node).ends_at_end_of_file)
              host_->exit(node, {false, 0});
          },
          [this, self, node, pid](const process_exited& event) {
            failure cause;
            cause.code = errc::node_died;
            cause.text = to_string(event.status);
            cause.node = node;
            cause.pid = pid;
            (event.status.signaled ? cause.signal : cause.exit_code) = event.status.value;
            node_gone gone;
            gone.node = node;
            gone.cause = std::move(cause);
            gone.served = calls_given_[node] > 0;
            caf::anon_send(supervisor_, std::move(gone));
            self->quit();
          },
      };
    });
  }

  void handle(node_id node, const request& call) { far_link_.handle(node, call); }

  /// The names of all slots.
  static std::vector<std::string> slots() {
    std::vector<std::string> result;
    boost::mp11::mp_for_each<typename cluster_channel::detail::slots_of<Events>::type>(
        [&](auto member) { result.emplace_back(member.name); });
    return result;
  }

  const pool_options options_;
  system_config config_;
  caf::actor_system system_{config_};
  caf::actor router_;
  caf::actor supervisor_;
  node_script default_script_;
  std::map<node_id, node_script> scripts_;
  std::map<node_id, std::size_t> calls_given_;
  std::map<node_id, std::size_t> programs_;
  std::vector<std::pair<node_id, int>> signals_;
  std::size_t launches_ = 0;
  std::shared_ptr<scripted_host> host_;
  std::set<node_id> ready_; // nodes that have said hello and live
  std::shared_ptr<timer_service> timers_;
  pool_link link_;
  node_link far_link_{*this};
  std::unique_ptr<event_bus<Events>> bus_;
  std::unique_ptr<event_bus<Events>> child_;
};

} // namespace cluster_channel::test
