// What a slot does: run local handlers, send calls to the far ends when these are ready, answer calls from them.
//
// Users see slot.hpp. Thread-safe: handlers are kept in lists that are replaced, never changed, so that a call runs
// the handlers it found without holding a lock. No lock is held while anything of a user's or a channel's runs.
#pragma once

#include <cluster_channel/channels/answers.hpp>
#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/call.hpp>
#include <cluster_channel/channels/handler.hpp>
#include <cluster_channel/channels/lazy_list.hpp>
#include <cluster_channel/channels/slot_options.hpp>
#include <cluster_channel/channels/waiting_calls.hpp>

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

namespace cluster_channel::detail {

template <class Request, class Response>
class slot_core final : public slot_base, public std::enable_shared_from_this<slot_core<Request, Response>> {
public:
  using stored = stored_request<Request>;
  using handler = handler_function<Request, Response>;
  using collector = answers_collector<Response>;

  /// @param ignored whether the bus ignores this slot.
  slot_core(std::string name, slot_options options, std::weak_ptr<bus_core> bus, bool ignored = false)
      : name_{std::move(name)}, options_{options}, bus_{std::move(bus)}, ignored_{ignored} {}

  const std::string& name() const noexcept { return name_; }

  // -- calling ----------------------------------------------------------------

  /// Calls every handler of the parameter, here and at the far ends: for one answer.
  call<Response> call_one(stored&& request, call_options&& options) {
    auto result = std::make_shared<call_state<Response>>();
    auto go = [this, result](bus_core& bus, const stored& x, const call_options& how) { go_one(bus, x, how, result); };
    start(std::move(request), std::move(options), result, std::move(go));
    return call<Response>{std::move(result)};
  }

  /// The same for the answers of all, which `Result` is made of by `finish(answers, first_error)`.
  template <class Result, class F>
  call<Result> call_all(stored&& request, call_options&& options, collects what, F finish) {
    auto result = std::make_shared<call_state<Result>>();
    auto go = [this, result, what, finish](bus_core& bus, const stored& x, const call_options& how) {
      const everyone who{*this, bus, how.param.value};
      if (who.count() == 0) {
        fail_without_handler(*result, bus, how.param.value);
        return;
      }
      go_all(bus, x, how, who,
             std::make_shared<collector>(what, [result, finish](answers<Response>&& all, caf::error&& first) {
               result->deliver(finish(std::move(all), std::move(first)));
             }));
    };
    start(std::move(request), std::move(options), result, std::move(go));
    return call<Result>{std::move(result)};
  }

  /// Calls every local handler and everyone at the far ends, without waiting for any.
  call<answers<Response>> broadcast(const stored& request, call_options&& options) {
    auto result = std::make_shared<call_state<answers<Response>>>();
    if (auto bus = usable_bus(*result, options.param.value)) {
      use_own_limits(options);
      auto all = std::make_shared<collector>(collects::all, [result](answers<Response>&& x, caf::error&&) {
        result->deliver(caf::expected<answers<Response>>{std::move(x)});
      });
      all->hold();
      run_local(*bus, handlers_of(options.param.value), request, options, all);
      for (const auto& each : bus->transports()) {
        auto* to = each->target();
        const auto state = to ? to->ready_for(name_, options.param.value) : readiness::disconnected;
        if (state != readiness::registered && state != readiness::holds_calls)
          continue;
        // The request may be needed after this function has returned: it goes along encoded.
        auto prepared = prepare(request, options, *to);
        const auto size = prepared.data.size();
        to->broadcast(std::make_shared<answers_fan_out<Response>>(
            all,
            [prepared = std::move(prepared)](std::shared_ptr<answer_sink> sink) {
              return prepared.to(std::move(sink));
            },
            size));
      }
      all->release();
    }
    return call<answers<Response>>{std::move(result)};
  }

  // -- handling ---------------------------------------------------------------

  /// Registers a handler; the returned function removes it.
  /// @throws std::invalid_argument if no message can carry the parameter.
  std::function<void()> add(std::string param, handler run) {
    if (ignored_)
      throw std::logic_error("slot " + name_ + " is ignored on this event_bus: it can have no handlers there");
    if (param.size() > std::numeric_limits<std::uint16_t>::max())
      throw std::invalid_argument("slot " + name_ + ": a parameter has " + std::to_string(param.size()) +
                                  " bytes, no far end can be told of more than 65535");
    std::unique_lock guard{mutex_};
    const auto id = ++last_handler_;
    auto& list = handlers_[param];
    auto next = list ? std::make_shared<handler_list>(*list) : std::make_shared<handler_list>();
    next->emplace_back(id, std::move(run));
    list = std::move(next);
    const auto first = list->size() == 1;
    guard.unlock();
    if (first)
      handlers_changed(param);
    return [core = this->weak_from_this(), param, id] {
      if (auto self = core.lock())
        self->remove(param, id);
    };
  }

  /// Calls `connect(param)` when a first handler comes, `disconnect(param)` when the last one goes.
  std::function<void()> add_lazy(lazy_callback connect, lazy_callback disconnect) {
    auto entry = lazies_.add(std::move(connect), std::move(disconnect));
    return [core = this->weak_from_this(), entry] {
      if (auto self = core.lock())
        self->lazies_.cancel(entry);
    };
  }

  // -- slot_base --------------------------------------------------------------

  void handle(pending_call_ptr call) override {
    const auto local = handlers_of(call->param);
    if (!local) {
      call->fail(errc::no_handler, "no handler for slot " + name_ + " with param " + call->param);
      return;
    }
    if constexpr (!std::is_void_v<Response>) {
      if (local->size() > 1) {
        call->fail(errc::several_handlers, several(local->size()));
        return;
      }
    }
    auto request = decode_request(call->data);
    if (!request) {
      call->fail(errc::bad_payload, failure_of(request.error()).text);
      return;
    }
    if (local->size() == 1) {
      local->front().second(*request,
                            promise<Response>{[call](caf::expected<Response>&& x) { call->finish(encoded(x)); }});
      return;
    }
    if constexpr (std::is_void_v<Response>) {
      auto all = std::make_shared<collector>(collects::to_first_failure, [call](auto&&, caf::error&& first) {
        call->finish(encoded(event_result(std::move(first))));
      });
      run_each(*local, *request, all);
    }
  }

  std::vector<std::string> handled_params() const override {
    std::lock_guard guard{mutex_};
    std::vector<std::string> result;
    for (const auto& [param, list] : handlers_)
      result.push_back(param);
    return result;
  }

  bool handles(const std::string& param) const override { return handlers_of(param) != nullptr; }

  void registration_changed(const std::string& param) override {
    update_lazies(param);
    release(param);
  }

  void readiness_changed() override {
    for (const auto& param : waiting_.params())
      release(param);
  }

  bool auto_reconnect() const noexcept override { return options_.auto_reconnect; }

  void close() override {
    for (const auto& param : waiting_.params())
      for (auto& call : waiting_.take(param))
        call.end(nullptr, place({.code = errc::channel_closed, .text = "the event bus of this slot is gone"}, param));
  }

private:
  using handler_list = std::vector<std::pair<std::uint64_t, handler>>;
  static constexpr const char* no_timer = "no timer can be started: the system has no thread left";
  using targets = boost::container::small_vector<call_target*, 4>;

  /// An encoded call that may be sent several times.
  struct prepared_call {
    std::string slot;
    call_options options;
    caf::timespan timeout;
    bool no_buffer;
    bytes data;
    std::string problem; // why it cannot be encoded

    pending_call_ptr to(std::shared_ptr<answer_sink> sink) const& { return prepared_call{*this}.to(std::move(sink)); }

    pending_call_ptr to(std::shared_ptr<answer_sink> sink) && {
      auto call =
          std::make_shared<pending_call>(slot, std::move(options.param.value), std::move(data), std::move(sink));
      call->timeout = timeout;
      call->wait_timeout = options.wait_timeout;
      call->run_timeout = options.run_timeout;
      call->no_buffer = no_buffer;
      if (!problem.empty())
        call->fail(errc::bad_payload, problem);
      return call;
    }
  };

  // -- the way of a call ------------------------------------------------------

  /// Lets `go(bus, request, options)` make the call as soon as every far end is ready for it, or ends `result`.
  template <class State, class Go>
  void start(stored&& request, call_options&& options, const std::shared_ptr<State>& result, Go go) {
    const auto bus = usable_bus(*result, options.param.value);
    if (!bus)
      return;
    use_own_limits(options);
    if (bus->transports().empty() ||
        (is_ready(*bus, options.param.value, true) && !waiting_.must_queue(options.param.value)))
      go(*bus, request, options);
    else
      wait(*bus, std::move(request), std::move(options), result, std::move(go));
  }

  void use_own_limits(call_options& options) const {
    if (options.wait_timeout == caf::timespan::zero())
      options.wait_timeout = options_.wait_timeout;
    if (options.timeout == caf::timespan::zero())
      options.timeout = options_.timeout;
  }

  /// The bus, unless it is gone or ignores this slot: then `result` ends.
  template <class State>
  std::shared_ptr<bus_core> usable_bus(State& result, const std::string& param) const {
    auto bus = bus_.lock();
    if (!bus)
      fail(result, errc::channel_closed, param, "the event bus of this slot is gone");
    else if (ignored_)
      fail(result, errc::event_ignored, param,
           "slot " + name_ + " is ignored on this event_bus: it cannot be called there");
    else
      return bus;
    return nullptr;
  }

  /// Whether a call need not wait. With `may_reconnect` channels that are down are told to connect.
  bool is_ready(const bus_core& bus, const std::string& param, bool may_reconnect) const {
    bool result = true;
    for (const auto& each : bus.transports()) {
      auto* to = each->target();
      auto state = to ? to->ready_for(name_, param) : readiness::connecting;
      if (state == readiness::disconnected && may_reconnect && options_.auto_reconnect && to->reconnect())
        state = to->ready_for(name_, param);
      switch (state) {
      case readiness::connecting:
        result = false;
        break;
      case readiness::disconnected:
      case readiness::unregistered:
        result = result && options_.no_buffer;
        break;
      case readiness::registered:
      case readiness::holds_calls:
      case readiness::ignored:
        break;
      }
    }
    return result;
  }

  template <class State, class Go>
  void wait(bus_core& bus, stored&& request, call_options&& options, const std::shared_ptr<State>& result, Go go) {
    std::size_t size = 0;
    if constexpr (!std::is_void_v<Request>) {
      try {
        size = encode(request).size();
      } catch (const std::exception& ex) {
        fail(*result, errc::bad_payload, options.param.value,
             std::string{"the request cannot be encoded: "} + ex.what());
        return;
      }
    }
    const auto param = options.param.value;
    if (!bus.begin_waiting(size)) {
      fail(*result, errc::buffer_full, param,
           "the buffer is full: too many calls, or bytes of requests, wait until the far ends have registered "
           "handlers; slow down, or raise buffer_calls_max or buffer_bytes_max of the event_bus");
      return;
    }
    const auto limit = options.wait_timeout > caf::timespan::zero() ? options.wait_timeout : bus.options().wait_timeout;
    auto end = [result, go = std::move(go), request = std::move(request),
                options = std::move(options)](bus_core* ready_bus, const failure& why) {
      if (ready_bus)
        go(*ready_bus, request, options);
      else
        result->deliver(make_error(failure{why}));
    };
    const auto id = waiting_.add(param, {.end = std::move(end), .size = size});
    if (limit < no_timeout) {
      const auto timer = schedule(bus, limit, [param, id](slot_core& core) { core.waited_too_long(param, id); });
      if (timer == 0) {
        end_waiting(bus, param, id, {.code = errc::buffer_full, .text = no_timer});
        return;
      }
      if (!waiting_.set_timer(param, id, timer))
        bus.timers().cancel(timer);
    }
    release(param); // a handler may have come in between
  }

  /// Sends the calls for `param` on their way while every far end is ready; with `goes_on` those that a release before
  /// left over.
  void release(const std::string& param, bool goes_on = false) {
    if (waiting_.empty())
      return;
    const auto keep_alive = this->shared_from_this();
    const auto bus = bus_.lock();
    if (!bus)
      return;
    const auto ready = [&] { return is_ready(*bus, param, false); };
    const auto send = [&](waiting_calls::call&& call) {
      if (call.timer != 0)
        bus->timers().cancel(call.timer);
      bus->end_waiting(call.size);
      call.end(bus.get(), {});
    };
    while (goes_on ? waiting_.go_on(param, ready, send) : waiting_.release(param, ready, send)) {
      // This thread may be the one that reads a link: the timers' takes over.
      if (schedule(*bus, caf::timespan::zero(), [param](slot_core& core) { core.release(param, true); }))
        return;
      goes_on = true;
    }
  }

  /// Runs `f(core)` after `delay`. @returns the timer, 0 if the system has no thread for it.
  template <class F>
  timer_service::timer_id schedule(bus_core& bus, caf::timespan delay, F f) {
    try {
      return bus.timers().schedule(delay, [core = this->weak_from_this(), f = std::move(f)] {
        if (auto self = core.lock())
          f(*self);
      });
    } catch (const std::system_error&) {
      return 0;
    }
  }

  void waited_too_long(const std::string& param, std::uint64_t id) {
    const auto bus = bus_.lock();
    if (!bus)
      return; // `close` ends the call
    end_waiting(
        *bus, param, id,
        {.code = errc::timed_out,
         .text = "TIMED_OUT on " + name_ + " with param " + param + ": not every far end has a handler for it"});
  }

  /// Fails a call, if it waits.
  void end_waiting(bus_core& bus, const std::string& param, std::uint64_t id, failure why) {
    auto call = waiting_.take(param, id);
    if (!call)
      return;
    bus.end_waiting(call->size);
    call->end(nullptr, place(std::move(why), param));
  }

  /// The far ends that a call goes to now, if there are `local` handlers.
  targets targets_of(const bus_core& bus, const std::string& param, bool local) const {
    targets result;
    targets perhaps; // connected, but without a handler as far as we know
    for (const auto& each : bus.transports()) {
      auto* to = each->target();
      switch (to ? to->ready_for(name_, param) : readiness::ignored) {
      case readiness::ignored:
        break;
      case readiness::unregistered:
        if (options_.no_buffer) {
          perhaps.push_back(to);
          break;
        }
        [[fallthrough]];            // withdrawn a moment ago: the far end says so
      case readiness::disconnected: // the channel says so
      case readiness::connecting:
      case readiness::registered:
      case readiness::holds_calls:
        result.push_back(to);
        break;
      }
    }
    return result.empty() && !local ? perhaps : result;
  }

  /// Whom a call goes to: looked up once, so that what is counted is what runs.
  struct everyone {
    everyone(const slot_core& slot, const bus_core& bus, const std::string& param)
        : local{slot.handlers_of(param)}, far{slot.targets_of(bus, param, local != nullptr)} {}
    std::size_t count() const noexcept { return (local ? local->size() : 0) + far.size(); }
    std::shared_ptr<const handler_list> local; // null if there is none
    targets far;
  };

  void go_one(bus_core& bus, const stored& request, const call_options& options,
              const std::shared_ptr<call_state<Response>>& result) {
    const auto& param = options.param.value;
    const everyone who{*this, bus, param};
    if (who.count() == 0) {
      fail_without_handler(*result, bus, param);
    } else if (who.count() == 1 && !who.local) {
      submit(*who.far.front(), request, options, result);
    } else if (who.count() == 1) {
      run_one(bus, who.local->front().second, request, options,
              [result](caf::expected<Response>&& x) { result->deliver(std::move(x)); });
    } else if constexpr (std::is_void_v<Response>) {
      go_all(bus, request, options, who,
             std::make_shared<collector>(collects::to_first_failure, [result](answers<Response>&&, caf::error&& first) {
               result->deliver(event_result(std::move(first)));
             }));
    } else if (std::any_of(who.far.begin(), who.far.end(), [&](const call_target* to) {
                 return to->ready_for(name_, param) == readiness::disconnected;
               })) {
      fail(*result, errc::channel_not_ready, param, "CHANNEL_NOT_READY on " + name_);
    } else {
      fail(*result, errc::several_handlers, param, several(who.count()));
    }
  }

  void go_all(bus_core& bus, const stored& request, const call_options& options, const everyone& who,
              const std::shared_ptr<collector>& all) {
    all->hold();
    run_local(bus, who.local, request, options, all);
    for (auto* to : who.far)
      submit(*to, request, options, std::make_shared<answers_sink<Response>>(all));
    all->release();
  }

  void run_local(bus_core& bus, const std::shared_ptr<const handler_list>& local, const stored& request,
                 const call_options& options, const std::shared_ptr<collector>& all) {
    if (!local)
      return;
    for (const auto& [id, run] : *local) {
      const auto place = all->open_place();
      run_one(bus, run, request, options,
              [all, place](caf::expected<Response>&& x) { all->answered(place, std::move(x)); });
    }
  }

  /// Runs a local handler, with the call's own timeout if it has one. `deliver` is called once.
  template <class Deliver>
  void run_one(bus_core& bus, const handler& run, const stored& request, const call_options& options, Deliver deliver) {
    const auto& param = options.param.value;
    auto answered = [core = this->shared_from_this(), param, deliver](caf::expected<Response>&& x) mutable {
      if (x)
        deliver(std::move(x));
      else
        deliver(caf::expected<Response>{make_error(core->place(failure_of(x.error()), param))});
    };
    auto limit = options.timeout > caf::timespan::zero() ? options.timeout : no_timeout;
    if (options.run_timeout > caf::timespan::zero())
      limit = std::min(limit, options.run_timeout);
    if (limit >= no_timeout) {
      run(request, promise<Response>{std::move(answered)});
      return;
    }
    // The handler or the timer, whichever is first.
    const auto& timers = bus.shared_timers();
    const auto ended = std::make_shared<std::atomic<bool>>(false);
    timer_service::timer_id timer = 0;
    try {
      timer =
          timers->schedule(limit, [ended, answered, text = "TIMED_OUT on " + name_ + " with param " + param]() mutable {
            if (!ended->exchange(true))
              answered(caf::expected<Response>{make_error(errc::timed_out, text)});
          });
    } catch (const std::system_error&) {
      answered(caf::expected<Response>{make_error(errc::buffer_full, no_timer)});
      return;
    }
    run(request, promise<Response>{[ended, answered, timers, timer](caf::expected<Response>&& x) mutable {
          if (ended->exchange(true))
            return;
          timers->cancel(timer);
          answered(std::move(x));
        }});
  }

  static void run_each(const handler_list& local, const stored& request, const std::shared_ptr<collector>& all) {
    all->hold();
    for (const auto& [id, run] : local) {
      const auto place = all->open_place();
      run(request,
          promise<Response>{[all, place](caf::expected<Response>&& x) { all->answered(place, std::move(x)); }});
    }
    all->release();
  }

  void submit(call_target& to, const stored& request, const call_options& options,
              std::shared_ptr<answer_sink> sink) const {
    auto call = prepare(request, options, to).to(std::move(sink));
    if (!call->finished()) // it could not be encoded
      to.submit(std::move(call));
  }

  prepared_call prepare(const stored& request, const call_options& options, const call_target& to) const {
    const auto timeout = options.timeout > caf::timespan::zero() ? options.timeout : to.default_timeout();
    prepared_call result{name_, options, timeout, options_.no_buffer, {}, {}};
    if constexpr (!std::is_void_v<Request>) {
      try {
        result.data = encode(request);
      } catch (const std::exception& ex) { // a user's inspect() refused, or a container beyond 2^32 elements
        result.problem = std::string{"the request cannot be encoded: "} + ex.what();
      }
    }
    return result;
  }

  // -- handlers ---------------------------------------------------------------

  std::shared_ptr<const handler_list> handlers_of(const std::string& param) const {
    std::lock_guard guard{mutex_};
    auto pos = handlers_.find(param);
    return pos == handlers_.end() ? nullptr : pos->second;
  }

  void remove(const std::string& param, std::uint64_t id) {
    std::unique_lock guard{mutex_};
    auto pos = handlers_.find(param);
    if (pos == handlers_.end())
      return;
    auto next = std::make_shared<handler_list>(*pos->second);
    if (std::erase_if(*next, [&](const auto& x) { return x.first == id; }) == 0)
      return;
    if (!next->empty()) {
      pos->second = std::move(next);
      return;
    }
    handlers_.erase(pos);
    guard.unlock();
    handlers_changed(param);
  }

  /// The first local handler came, or the last one went.
  void handlers_changed(const std::string& param) {
    if (auto bus = bus_.lock())
      bus->handlers_changed({name_, param});
    update_lazies(param);
  }

  void update_lazies(const std::string& param) {
    if (!lazies_.empty())
      lazies_.update(param);
  }

  /// The parameters that have handlers, here or at a far end.
  std::vector<std::string> used_params() const {
    auto result = handled_params();
    if (auto bus = bus_.lock())
      for (const auto& each : bus->transports())
        if (auto* to = each->target())
          for (auto& param : to->params_of(name_))
            result.push_back(std::move(param));
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
  }

  /// Whether `param` is one of them.
  bool is_used(const std::string& param) const {
    if (handles(param))
      return true;
    const auto bus = bus_.lock();
    return bus && std::any_of(bus->transports().begin(), bus->transports().end(), [&](const auto& each) {
             const auto* to = each->target();
             return to && to->has_handler(name_, param);
           });
  }

  // -- requests, responses, errors --------------------------------------------

  static caf::expected<stored> decode_request(const bytes& data) {
    if constexpr (!std::is_void_v<Request>)
      return decode<Request>(data);
    else if (data.empty())
      return nothing{};
    else
      return make_error(errc::bad_payload,
                        "a request without data was expected, " + std::to_string(data.size()) + " bytes came");
  }

  static answer encoded(const caf::expected<Response>& x) {
    if (!x)
      return failure_of(x.error());
    if constexpr (std::is_void_v<Response>) {
      return bytes{};
    } else {
      try {
        return encode(*x);
      } catch (const std::exception& ex) {
        failure what;
        what.code = errc::bad_payload;
        what.text = std::string{"the response cannot be encoded: "} + ex.what();
        return what;
      }
    }
  }

  /// The result of an event whose runs have all ended.
  static caf::expected<void> event_result(caf::error&& first) {
    return first ? caf::expected<void>{std::move(first)} : caf::expected<void>{caf::unit};
  }

  std::string several(std::size_t runs) const {
    return std::to_string(runs) + " handlers would answer slot " + name_ +
           ", whose call has one response: call all() to get every answer";
  }

  /// An error of a local handler says which slot it came from, as one from a far end does.
  failure place(failure what, const std::string& param) const {
    if (what.slot.empty()) {
      what.slot = name_;
      what.param = param;
    }
    return what;
  }

  template <class State>
  void fail_without_handler(State& result, const bus_core& bus, const std::string& param) const {
    fail(result, errc::no_handler, param,
         "no handler for slot " + name_ + " with param " + param +
             (bus.transports().empty() ? "" : ": no far end takes part in it"));
  }

  template <class State>
  void fail(State& result, errc code, const std::string& param, std::string text) const {
    result.deliver(make_error(place({.code = code, .text = std::move(text)}, param)));
  }

  const std::string name_;
  const slot_options options_;
  const std::weak_ptr<bus_core> bus_;
  const bool ignored_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const handler_list>, std::less<>> handlers_; // never an empty list
  std::uint64_t last_handler_ = 0;
  waiting_calls waiting_;
  lazy_list lazies_{[this] { return used_params(); }, [this](const std::string& param) { return is_used(param); }};
};

} // namespace cluster_channel::detail
