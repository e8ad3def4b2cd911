#include <cluster_channel/actors/actor_system_config.hpp>
#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/actors/router.hpp>
#include <cluster_channel/actors/supervisor.hpp>
#include <cluster_channel/channels/courier.hpp>
#include <cluster_channel/channels/master_channel.hpp>
#include <cluster_channel/channels/router_target.hpp>

#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <mutex>
#include <stdexcept>

namespace cluster_channel {

namespace {

/// An actor system and what it was configured with, in the order in which they must live.
struct own_system {
  actor_system_config config;
  caf::actor_system system{config};
};

master_options checked(master_options options) {
  if (auto err = validate(options))
    throw std::invalid_argument("master_channel: " + failure_of(err).text);
  return with_defaults(std::move(options));
}

} // namespace

class master_channel::pool {
public:
  pool(std::unique_ptr<own_system> own, caf::actor_system* system, master_options options)
      : own_{std::move(own)}, system_{system ? *system : own_->system}, options_{std::move(options)} {
    if (!system_.has_middleman())
      throw std::invalid_argument("master_channel: the actor system has no I/O module; use cluster_channel::"
                                  "actor_system_config, or call cluster_channel::configure on your own config");
    router_ = spawn_router(system_, options_, inbox_);
    auto settings = settings_;
    settings->set({.options = options_, .greeting = greeting({}), .forms = forms_source()});
    auto make_proxy = [&system = system_, router = router_,
                       settings](const caf::actor& supervisor, const process_started& process, std::size_t program) {
      return spawn_child_proxy(system, supervisor, router, process, settings->get(), program);
    };
    supervisor_ = spawn_supervisor(system_, options_, router_, std::move(make_proxy));
    host_ = make_process_host_for(process_specs_of(options_), [supervisor = supervisor_](process_event event) {
      std::visit([&](auto& x) { caf::anon_send(supervisor, std::move(x)); }, event);
    });
    caf::anon_send(supervisor_, attach_host{host_});
  }

  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  ~pool() {
    close(options_.drain_timeout);
    if (target_)
      target_->detach();
    caf::scoped_actor self{system_};
    caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
    self->wait_for(supervisor_, router_);
    if (courier_) {
      caf::anon_send_exit(courier_, caf::exit_reason::user_shutdown);
      self->wait_for(courier_);
    }
  }

  void close(std::chrono::milliseconds drain_timeout) {
    caf::scoped_actor self{system_};
    self->request(supervisor_, caf::infinite, close_pool{drain_timeout})
        .receive([](const pool_closed&) {}, [](const caf::error&) {}); // an error: the supervisor has ended already
  }

  pool_stats stats() const {
    pool_stats result;
    caf::scoped_actor self{system_};
    self->request(router_, caf::infinite, get_pool_stats{})
        .receive([&](const pool_stats& x) { result = x; }, [](const caf::error&) {});
    return result;
  }

  std::shared_ptr<call_target> connect(std::shared_ptr<channel_listener> listener) {
    std::lock_guard guard{connect_mutex_};
    if (target_)
      throw std::logic_error("this master_channel already serves an event_bus: make one channel for each bus");
    forms_->set(listener->forms());
    settings_->set({.options = options_, .greeting = greeting(listener->slots()), .forms = forms_source()});
    target_ = std::make_shared<detail::router_target>(router_, inbox_, options_.timeout);
    courier_ = detail::spawn_courier(system_, target_, std::move(listener));
    caf::anon_send(router_, attach_bus{courier_});
    return target_;
  }

  const caf::actor& router() const noexcept { return router_; }
  const caf::actor& supervisor() const noexcept { return supervisor_; }
  caf::actor_system& system() const noexcept { return system_; }
  const master_options& options() const noexcept { return options_; }

private:
  /// Something that changes when the bus connects, and that proxies ask for.
  template <class T>
  class current {
  public:
    void set(std::shared_ptr<const T> next) {
      std::lock_guard guard{mutex_};
      value_ = std::move(next);
    }
    void set(T next) { set(std::make_shared<const T>(std::move(next))); }
    std::shared_ptr<const T> get() const {
      std::lock_guard guard{mutex_};
      return value_;
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> value_;
  };

  /// For proxies that were made before the bus too.
  json_forms_source forms_source() const {
    return [forms = forms_] { return forms->get(); };
  }

  static hello greeting(std::vector<slot_declaration> slots) {
    return {protocol_version, binary_codec, std::move(slots)};
  }

  std::unique_ptr<own_system> own_;
  caf::actor_system& system_;
  const master_options options_;
  const std::shared_ptr<current<link_settings>> settings_ = std::make_shared<current<link_settings>>();
  const std::shared_ptr<current<json_forms>> forms_ = std::make_shared<current<json_forms>>();
  const std::shared_ptr<router_inbox> inbox_ = make_router_inbox(options_);
  std::mutex connect_mutex_;
  std::shared_ptr<detail::router_target> target_; // set when a bus connects
  caf::actor courier_;                            // the same
  caf::actor router_;
  caf::actor supervisor_;
  std::shared_ptr<process_host> host_; // destroyed first: ends what is left, calls no listener after that
};

master_channel::master_channel(master_options options) {
  options = checked(std::move(options));
  pool_ = std::make_unique<pool>(std::make_unique<own_system>(), nullptr, std::move(options));
}

master_channel::master_channel(caf::actor_system& system, master_options options)
    : pool_{std::make_unique<pool>(nullptr, &system, checked(std::move(options)))} {
  // nop
}

master_channel::~master_channel() = default;

void master_channel::close(std::chrono::milliseconds drain_timeout) {
  pool_->close(drain_timeout);
}

void master_channel::close() {
  pool_->close(pool_->options().drain_timeout);
}

const caf::actor& master_channel::router() const noexcept {
  return pool_->router();
}

const caf::actor& master_channel::supervisor() const noexcept {
  return pool_->supervisor();
}

caf::actor_system& master_channel::system() const noexcept {
  return pool_->system();
}

pool_stats master_channel::stats() const {
  return pool_->stats();
}

std::shared_ptr<call_target> master_channel::connect(std::shared_ptr<channel_listener> listener) {
  return pool_->connect(std::move(listener));
}

} // namespace cluster_channel
