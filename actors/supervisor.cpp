#include <cluster_channel/actors/detail/guarded.hpp>
#include <cluster_channel/actors/detail/insisting_actor.hpp>
#include <cluster_channel/actors/detail/saturating.hpp>
#include <cluster_channel/actors/supervisor.hpp>

#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <csignal>
#include <exception>
#include <new>
#include <utility>

namespace cluster_channel {

namespace {

/// A ready node that dies sooner than this without having been given a call counts as a failed start: else `min_nodes`
/// would relaunch a broken child as fast as the machine can.
constexpr auto stable_after = std::chrono::seconds{1};

struct backoff_over {};
struct node_stable {
  node_id node = 0;
};
struct kill_node {
  node_id node = 0;
};
struct term_all {};
struct kill_all {};
struct stop_waiting {};

} // namespace

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::backoff_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::node_stable)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::kill_node)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::term_all)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::kill_all)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::stop_waiting)

namespace cluster_channel {

caf::actor spawn_supervisor(caf::actor_system& system, const pool_options& options, const caf::actor& router,
                            proxy_factory make_proxy) {
  using actor_type = caf::stateful_actor<supervisor_state, detail::insisting_actor>;
  auto result = system.spawn(
      [factory = std::move(make_proxy)](actor_type* self, const pool_options& opts, const caf::actor& its_router) {
        return self->state.start(self, opts, its_router, factory);
      },
      options, router);
  caf::anon_send(router, attach_supervisor{result});
  return result;
}

namespace {

/// If it throws, the link is still the caller's.
void tell_supervisor(const caf::actor& supervisor, const process_started& event) {
  const auto started = std::make_shared<started_process>(event);
  try {
    caf::anon_send(supervisor, started);
  } catch (...) {
    started->take();
    throw;
  }
}

} // namespace

void tell_supervisor(const caf::actor& supervisor, process_event event) {
  if (const auto* started = std::get_if<process_started>(&event))
    tell_supervisor(supervisor, *started);
  else if (auto* failed = std::get_if<process_failed>(&event))
    caf::anon_send(supervisor, std::move(*failed));
  else
    caf::anon_send(supervisor, std::get<process_exited>(event));
}

caf::behavior supervisor_state::start(caf::event_based_actor* self, const pool_options& options,
                                      const caf::actor& router, proxy_factory make_proxy) {
  self_ = self;
  options_ = with_defaults(options);
  router_ = router;
  make_proxy_ = std::move(make_proxy);
  policy_ = restart_policy{options.backoff};
  for (const auto& program : programs_of(options))
    programs_.push_back({.nodes_max = program.nodes});
  self->link_to(router);
  // A proxy is linked to this actor, to end with it; its own end is the affair of the down handler.
  self->set_exit_handler([this](caf::exit_msg& exit) {
    for (const auto& [node, child] : children_)
      if (child.proxy && child.proxy.address() == exit.source)
        return;
    if (exit.reason)
      self_->quit(std::move(exit.reason));
  });
  // A proxy says node_gone before it ends; one that ends without doing so has crashed.
  self->set_down_handler([this](const caf::down_msg& down) {
    for (auto& [node, child] : children_)
      if (child.proxy && child.proxy.address() == down.source) {
        node_is_gone({.node = node,
                      .cause = {.code = errc::node_died,
                                .text = "the proxy of the node ended: " + describe(down.reason),
                                .node = node,
                                .pid = child.pid},
                      .misbehaved = true});
        return;
      }
  });
  return running();
}

caf::behavior supervisor_state::running() {
  return caf::message_handler{
      [this](const launch_nodes& msg) {
        owed_ += msg.count;
        detail::insist([this] { launch_owed(); });
      },
      [this](const close_pool& msg) {
        remember_closer();
        begin_draining(msg.drain_timeout);
      },
      [this](close_query& msg) {
        closers_.push_back(std::move(msg.answer));
        begin_draining(msg.drain_timeout);
      },
  }
      .or_else(process_events());
}

caf::behavior supervisor_state::draining() {
  return caf::message_handler{
      [this](const launch_nodes& msg) {
        owed_ += msg.count; // a replacement for calls that still wait
        detail::insist([this] { launch_owed(); });
      },
      [this](const close_pool&) { remember_closer(); },
      [this](close_query& msg) { closers_.push_back(std::move(msg.answer)); },
      [this](const router_drained&) { begin_stopping(); },
  }
      .or_else(process_events());
}

caf::behavior supervisor_state::stopping() {
  return caf::message_handler{
      [](const launch_nodes&) {},
      [this](const close_pool&) { remember_closer(); },
      [this](close_query& msg) { closers_.push_back(std::move(msg.answer)); },
      [](const router_drained&) {},
      [this](const term_all&) {
        signal_all(SIGTERM);
        self_->delayed_send(self_, detail::as_delay(options_.term_grace), kill_all{});
      },
      [this](const kill_all&) {
        signal_all(SIGKILL);
        self_->delayed_send(self_, detail::as_delay(options_.kill_grace), stop_waiting{});
      },
      [this](const stop_waiting&) { end(); },
  }
      .or_else(process_events());
}

caf::message_handler supervisor_state::process_events() {
  return {
      detail::insisting([this](const started_process_ptr& event) { process_is_started(*event); }),
      [this](const process_started& event) {
        started_process started{event};
        process_is_started(started);
      },
      detail::insisting([this](const process_failed& event) { process_is_failed(event); }),
      detail::insisting([this](const process_exited& event) { process_is_exited(event); }),
      detail::insisting([this](const node_hello& event) { node_said_hello(event); }),
      detail::insisting([this](const node_gone& event) { node_is_gone(event); }),
      [this](const backoff_over&) {
        backing_off_ = false;
        detail::insist([this] { launch_owed(); });
      },
      [this](const node_stable& event) {
        if (auto pos = children_.find(event.node); pos != children_.end() && pos->second.ready)
          policy_.start_succeeded();
      },
      [this](const kill_node& event) { host_->signal(event.node, SIGKILL); },
      [this](attach_host& msg) {
        host_ = std::move(msg.host);
        detail::insist([this] { launch_owed(); });
      },
  };
}

// -- events -------------------------------------------------------------------

void supervisor_state::process_is_started(started_process& started) {
  const auto& event = started.event();
  auto pos = children_.find(event.node);
  if (pos != children_.end())
    pos->second.pid = event.pid;
  if (pos == children_.end() || stopping_) {
    host_->signal(event.node, SIGKILL);
    return; // which closes the link
  }
  auto& child = pos->second;
  if (child.proxy)
    return;
  try {
    child.proxy = make_proxy_(caf::actor_cast<caf::actor>(self_), event, child.program);
    started.take(); // the link is the proxy's now
  } catch (const std::exception& ex) {
    host_->signal(event.node, SIGKILL);
    start_is_over(child);
    programs_[child.program].failed = true;
    start_failed_for_router(false,
                            {.code = errc::launch_failed,
                             .text = std::string{"cannot serve the link: "} + ex.what(),
                             .node = event.node,
                             .pid = event.pid},
                            child.round);
    return;
  }
  detail::insist([&] { self_->monitor(child.proxy); });
}

void supervisor_state::process_is_failed(const process_failed& event) {
  auto pos = children_.find(event.node);
  if (pos == children_.end())
    return;
  const auto round = pos->second.round;
  programs_[pos->second.program].failed = true;
  forget(pos);
  if (stopping_) {
    end_stopping();
    return;
  }
  start_failed_for_router(event.permanent, failure_of(event.cause), round);
  launch_owed();
}

void supervisor_state::process_is_exited(const process_exited& event) {
  auto pos = children_.find(event.node);
  if (pos == children_.end())
    return;
  pos->second.reaped = true;
  if (pos->second.proxy)
    caf::anon_send(pos->second.proxy, event); // says node_gone when it has read what is left on the link
  else
    process_left(pos);
}

void supervisor_state::node_said_hello(const node_hello& event) {
  auto pos = children_.find(event.node);
  if (pos == children_.end() || !pos->second.proxy)
    return;
  auto& child = pos->second;
  child.ready = true;
  start_is_over(child);
  programs_[child.program].failed = false;
  child.ready_at = self_->clock().now();
  self_->delayed_send(self_, stable_after, node_stable{event.node});
  caf::anon_send(router_, node_ready{event.node, child.pid, child.proxy, event.slots});
  launch_owed(); // it has made room for the start of another one
}

void supervisor_state::node_is_gone(const node_gone& event) {
  auto pos = children_.find(event.node);
  if (pos == children_.end() || !pos->second.proxy)
    return;
  auto& child = pos->second;
  start_is_over(child);
  if (child.ready) {
    auto for_router = event;
    const auto unstable = !event.served && self_->clock().now() - child.ready_at < stable_after;
    if (!unstable) {
      policy_.start_succeeded();
    } else if (!stopping_) {
      programs_[child.program].failed = true;
      if (auto why = start_failed(0, event.permanent, event.cause, child.round)) {
        for_router.cause = std::move(*why);
        for_router.gave_up = true;
      }
    }
    caf::anon_send(router_, std::move(for_router));
  } else if (!stopping_) {
    programs_[child.program].failed = true;
    start_failed_for_router(event.permanent, event.cause, child.round);
  }
  child.ready = false; // only now that the router is told
  child.proxy = nullptr;
  if (child.reaped) {
    process_left(pos);
    return;
  }
  host_->signal(event.node, event.misbehaved ? SIGKILL : SIGTERM);
  self_->delayed_send(self_, detail::as_delay(options_.term_grace), kill_node{event.node});
  launch_owed();
}

void supervisor_state::begin_draining(std::chrono::milliseconds timeout) {
  caf::anon_send(router_, drain_router{timeout});
  self_->become(draining());
}

void supervisor_state::begin_stopping() {
  stopping_ = true;
  owed_ = 0;
  self_->become(stopping());
  for (auto& [node, child] : children_)
    if (child.proxy)
      caf::anon_send(child.proxy, shut_link{});
  self_->delayed_send(self_, detail::as_delay(options_.exit_grace), term_all{});
  end_stopping();
}

/// Ends the stopping state if nothing is left to stop.
void supervisor_state::end_stopping() {
  if (children_.empty())
    end();
}

/// Ends this actor, and with it the router. What is left of the children is the host's.
void supervisor_state::end() {
  pool_closed report;
  for (const auto& [node, child] : children_)
    if (!child.reaped)
      report.left_behind.push_back({node, child.pid});
  for (auto& closer : std::exchange(closers_, {}))
    closer(report);
  self_->quit(caf::exit_reason::user_shutdown);
}

// -- helpers ------------------------------------------------------------------

void supervisor_state::launch_owed() {
  if (!host_ || backing_off_ || stopping_)
    return;
  // A process that lost its link but is not reaped yet still counts: never more than `nodes` processes.
  while (owed_ > 0) {
    const auto program = next_program(room::launch_now);
    if (!program)
      return;
    children_.emplace(++last_node_, child{.program = *program, .round = round_});
    ++programs_[*program].nodes;
    ++programs_[*program].starting;
    --owed_;
    try {
      host_->launch(last_node_, *program);
    } catch (const std::bad_alloc&) {
      forget(children_.find(last_node_));
      ++owed_;
      throw;
    }
  }
}

/// The program for the next node: the one of which the smallest share runs, rather one whose last start did not fail.
/// Empty if all have as many as they may, or, to launch now, as many that are starting.
std::optional<std::size_t> supervisor_state::next_program(room which) const {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < programs_.size(); ++i) {
    const auto& program = programs_[i];
    if (program.nodes >= program.nodes_max)
      continue;
    if (which == room::launch_now && program.starting >= options_.launches_max)
      continue;
    const auto better_than = [&](const program_state& other) {
      if (program.failed != other.failed)
        return other.failed;
      return program.nodes * other.nodes_max < other.nodes * program.nodes_max;
    };
    if (!best || better_than(programs_[*best]))
      best = i;
  }
  return best;
}

/// It does not count among those that are starting any more.
void supervisor_state::start_is_over(child& which) {
  if (std::exchange(which.starting, false))
    --programs_[which.program].starting;
}

void supervisor_state::forget(children::iterator pos) {
  start_is_over(pos->second);
  --programs_[pos->second.program].nodes;
  children_.erase(pos);
}

std::optional<failure> supervisor_state::start_failed(std::size_t count, bool permanent, const failure& cause,
                                                      std::size_t round) {
  owed_ += count;
  auto why = cause;
  if (why.code == errc::node_died)
    why.code = errc::launch_failed;
  if (round != round_) { // its round of starts was given up while it was still starting
    why.text = gave_up_text_ + why.text;
    return why;
  }
  if (backing_off_)
    return std::nullopt; // the pause is for the whole round
  if (const auto other = next_program(room::ever); permanent && other && !programs_[*other].failed)
    return std::nullopt; // that program may serve
  const auto decision = policy_.start_failed(permanent);
  if (const auto* restart = std::get_if<restart_after>(&decision)) {
    backing_off_ = true;
    self_->delayed_send(self_, detail::as_delay(restart->pause), backoff_over{});
    return std::nullopt;
  }
  ++round_;
  const auto failures = std::get<give_up>(decision).failures;
  gave_up_text_ =
      failures > 1 ? "gave up after " + std::to_string(failures) + " failed starts, the last one: " : std::string{};
  why.text = gave_up_text_ + why.text;
  return why;
}

void supervisor_state::start_failed_for_router(bool permanent, const failure& cause, std::size_t round) {
  auto why = start_failed(1, permanent, cause, round);
  if (!why)
    return;
  caf::anon_send(router_, launches_gave_up{owed_, std::move(*why)});
  owed_ = 0;
}

void supervisor_state::process_left(children::iterator pos) {
  forget(pos);
  if (stopping_)
    end_stopping();
  else
    launch_owed();
}

void supervisor_state::remember_closer() {
  closers_.push_back([to = self_->make_response_promise()](const pool_closed& report) mutable { to.deliver(report); });
}

void supervisor_state::signal_all(int signo) {
  for (const auto& [node, child] : children_)
    if (!child.reaped)
      host_->signal(node, signo);
}

} // namespace cluster_channel
