// The supervisor actor: launches nodes when the router asks, watches them, and ends every process it started.
//
// It acts on what restart_policy decides, and stops a child in steps: end of file on its link, SIGTERM, SIGKILL. It
// never touches a link's bytes (child_proxy.hpp) nor forks or waits itself (process_host.hpp).
//
// Message for users: `close_pool`.
#pragma once

#include <cluster_channel/actors/pool_messages.hpp>
#include <cluster_channel/actors/pool_options.hpp>
#include <cluster_channel/actors/restart_policy.hpp>

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/response_promise.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cluster_channel {

/// Makes the actor that speaks to a freshly launched child. It owns `link_fd` of `process` from then on, and must send
/// `supervisor` at most one `node_hello` and, in the end, exactly one `node_gone`. `program` counts the pool's programs
/// from 0.
using proxy_factory =
    std::function<caf::actor(const caf::actor& supervisor, const process_started& process, std::size_t program)>;

/// Starts the supervisor of `router`. The two are linked: neither outlives the other.
/// Its first message must be `attach_host`.
caf::actor spawn_supervisor(caf::actor_system& system, const pool_options& options, const caf::actor& router,
                            proxy_factory make_proxy);

/// Brings what a process host tells to `supervisor`, from any thread; what that cannot take any more leaves no
/// descriptor behind.
void tell_supervisor(const caf::actor& supervisor, process_event event);

/// State and behaviours of the supervisor; public for its tests only.
class supervisor_state {
public:
  static inline const char* name = "cluster_channel.supervisor";

  /// To be called once, by the actor `self` that owns this state.
  caf::behavior start(caf::event_based_actor* self, const pool_options& options, const caf::actor& router,
                      proxy_factory make_proxy);

private:
  struct child {
    std::int32_t pid = 0; // 0 until it started
    std::size_t program = 0;
    caf::actor proxy;      // empty before it started and after its link is gone
    bool ready = false;    // said hello, and the router knows it
    bool reaped = false;   // its process is gone
    bool starting = true;  // launched, and neither ready nor lost
    std::size_t round = 0; // what round_ was when it was launched
    std::chrono::steady_clock::time_point ready_at;
  };
  using children = std::map<node_id, child>;

  struct program_state {
    std::size_t nodes_max = 1;
    std::size_t nodes = 0;    // of it that there are
    std::size_t starting = 0; // of those
    bool failed = false;      // its last start did
  };

  // -- lifecycle states: each is one behaviour --------------------------------
  caf::behavior running();
  caf::behavior draining();
  caf::behavior stopping();
  caf::message_handler process_events();

  // -- events -----------------------------------------------------------------
  void process_is_started(started_process& started);
  void process_is_failed(const process_failed& event);
  void process_is_exited(const process_exited& event);
  void node_said_hello(const node_hello& event);
  void node_is_gone(const node_gone& event);
  void begin_draining(std::chrono::milliseconds timeout);
  void begin_stopping();
  void end_stopping();
  void end();

  // -- helpers ----------------------------------------------------------------
  void launch_owed();
  enum class room { launch_now, ever };
  std::optional<std::size_t> next_program(room which) const;
  void start_is_over(child& which);
  void forget(children::iterator pos);
  /// A start of `round` failed, leaving `count` of the router's requests open. @returns why to give up, if it is time.
  std::optional<failure> start_failed(std::size_t count, bool permanent, const failure& cause, std::size_t round);
  void start_failed_for_router(bool permanent, const failure& cause, std::size_t round);
  void process_left(children::iterator pos);
  void signal_all(int signo);
  void remember_closer();

  caf::event_based_actor* self_ = nullptr;
  pool_options options_;
  caf::actor router_;
  proxy_factory make_proxy_;
  std::shared_ptr<process_host> host_;
  restart_policy policy_{backoff_options{}};
  children children_;
  std::vector<program_state> programs_;
  std::size_t owed_ = 0;     // nodes the router asked for that are not launched yet
  std::size_t round_ = 0;    // counts how often it gave up
  std::string gave_up_text_; // how the last giving up is put
  bool backing_off_ = false; // a pause after a failed start is running
  bool stopping_ = false;    // what starts now is ended at once
  node_id last_node_ = 0;
  std::vector<std::function<void(const pool_closed&)>> closers_; // who wants to know that the pool is closed
};

} // namespace cluster_channel
