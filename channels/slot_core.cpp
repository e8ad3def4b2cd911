#include <cluster_channel/channels/slot_core.hpp>

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace cluster_channel::detail {

namespace {

constexpr const char* no_timer = "no timer can be started: the system has no thread left";
constexpr const char* bus_is_gone = "the event bus of this slot is gone";

using targets = boost::container::small_vector<call_target*, 4>;

} // namespace

/// What the far ends of a bus said when they were asked, once each, about a call.
struct slot_core::far_ends {
  bool ready = true;         ///< the call need not wait
  bool disconnected = false; ///< one of those that it goes to is
  targets sure;              ///< it goes to these
  targets perhaps;           ///< connected, but without a handler as far as we know: it goes there if to nobody else

  const targets& with(const handler_list* local) const { return sure.empty() && !local ? perhaps : sure; }
};

slot_core::slot_core(std::string name, slot_options options, std::weak_ptr<bus_core> bus, bool answers, bool ignored)
    : name_{std::make_shared<const std::string>(std::move(name))},
      options_{options},
      bus_{std::move(bus)},
      answers_{answers},
      ignored_{ignored} {
  // nop
}

// -- calling ------------------------------------------------------------------

void slot_core::start(void* request, call_options&& options, std::shared_ptr<answer_sink> result,
                      std::shared_ptr<answers_collector> all) {
  const auto bus = usable_bus(*result, options.param.value);
  if (!bus)
    return;
  const auto how = details(std::move(options));
  const auto far = look_at_far_ends(*bus, *how.param, true);
  if (bus->transports().empty() || (far.ready && !waiting_.must_queue(*how.param))) {
    go(*bus, request, how, result, all, far);
    return;
  }
  auto x = std::make_unique<waiting_calls::call>();
  bytes data;
  failure problem;
  if (!try_encode(request, data, problem)) {
    fail(*result, problem.code, *how.param, std::move(problem.text));
    return;
  }
  x->size = data.size();
  x->request = keep_request(request);
  x->how = how;
  x->result = std::move(result);
  x->all = std::move(all);
  wait(*bus, std::move(x));
}

void slot_core::start_broadcast(const void* request, call_options&& options, std::shared_ptr<answer_sink> result,
                                std::shared_ptr<answers_collector> all) {
  const auto bus = usable_bus(*result, options.param.value);
  if (!bus)
    return;
  const auto how = details(std::move(options));
  all->hold();
  if (const auto local = handlers_of(*how.param))
    for (const auto& handler : *local)
      run_here(*bus, *handler, request, how, all->open_place());
  for (const auto& each : bus->transports()) {
    auto* to = each->target();
    const auto state = to ? to->ready_for(*name_, *how.param) : readiness::disconnected;
    if (state != readiness::registered && state != readiness::holds_calls)
      continue;
    bytes data;
    failure problem;
    if (!try_encode(request, data, problem)) {
      fail(*all->open_place(), problem.code, *how.param, std::move(problem.text));
      continue;
    }
    // The request may be needed after this function has returned: it goes along encoded.
    const auto size = data.size();
    auto make = [me = std::static_pointer_cast<const slot_core>(shared_from_this()), to_all = each, how,
                 data = std::move(data)](std::shared_ptr<answer_sink> sink) {
      return me->make_call(*to_all->target(), how, data, std::move(sink));
    };
    to->broadcast(std::make_shared<answers_fan_out>(all, std::move(make), size));
  }
  all->release();
}

/// The bus, unless it is gone or ignores this slot: then `result` ends.
std::shared_ptr<bus_core> slot_core::usable_bus(answer_sink& result, const std::string& param) const {
  auto bus = bus_.lock();
  if (!bus || bus->closed())
    fail(result, errc::channel_closed, param, bus_is_gone);
  else if (ignored_)
    fail(result, errc::event_ignored, param,
         "slot " + *name_ + " is ignored on this event_bus: it cannot be called there");
  else if (bus->is_cut_off())
    fail(result, errc::channel_closed, param,
         "this process is a forked copy of the one whose event_bus this is: make another one here");
  else
    return bus;
  return nullptr;
}

/// With the slot's own limits where the call has none.
call_details slot_core::details(call_options&& options) const {
  const auto or_own = [](caf::timespan x, caf::timespan own) { return x == caf::timespan::zero() ? own : x; };
  return {share_param(std::move(options.param.value)), or_own(options.timeout, options_.timeout),
          or_own(options.wait_timeout, options_.wait_timeout), options.run_timeout};
}

/// With `may_reconnect` channels that are down are told to connect.
slot_core::far_ends slot_core::look_at_far_ends(const bus_core& bus, const std::string& param,
                                                bool may_reconnect) const {
  far_ends result;
  for (const auto& each : bus.transports()) {
    auto* to = each->target();
    if (!to) { // the bus is being made
      result.ready = false;
      continue;
    }
    auto state = to->ready_for(*name_, param);
    if (state == readiness::disconnected && may_reconnect && options_.auto_reconnect && to->reconnect())
      state = to->ready_for(*name_, param);
    switch (state) {
    case readiness::ignored:
      break;
    case readiness::unregistered:
      result.ready = result.ready && options_.no_buffer;
      // Without `no_buffer` it was withdrawn a moment ago: the far end says so.
      (options_.no_buffer ? result.perhaps : result.sure).push_back(to);
      break;
    case readiness::disconnected: // the channel says so
      result.ready = result.ready && options_.no_buffer;
      result.disconnected = true;
      result.sure.push_back(to);
      break;
    case readiness::connecting:
      result.ready = false;
      result.sure.push_back(to);
      break;
    case readiness::registered:
    case readiness::holds_calls:
      result.sure.push_back(to);
      break;
    }
  }
  return result;
}

/// Whom a call goes to is looked up once, so that what is counted is what runs.
void slot_core::go(bus_core& bus, const void* request, const call_details& how,
                   const std::shared_ptr<answer_sink>& result, const std::shared_ptr<answers_collector>& all,
                   const far_ends& far) const {
  const auto local = handlers_of(*how.param);
  if (!local && far.with(nullptr).empty())
    fail(*result, errc::no_handler, *how.param,
         "no handler for slot " + *name_ + " with param " + *how.param +
             (bus.transports().empty() ? "" : ": no far end takes part in it"));
  else if (all)
    go_all(bus, request, how, local.get(), far, *all);
  else
    go_one(bus, request, how, result, local.get(), far);
}

void slot_core::go_one(bus_core& bus, const void* request, const call_details& how,
                       const std::shared_ptr<answer_sink>& result, const handler_list* local,
                       const far_ends& far) const {
  const auto& there = far.with(local);
  const auto count = (local ? local->size() : 0) + there.size();
  if (count > 1) {
    if (!answers_)
      go_all(bus, request, how, local, far, *std::make_shared<event_collector>(result));
    else if (far.disconnected)
      fail(*result, errc::channel_not_ready, *how.param, "CHANNEL_NOT_READY on " + *name_);
    else
      fail(*result, errc::several_handlers, *how.param, several(count));
    return;
  }
  if (local) {
    run_here(bus, *local->front(), request, how, result);
    return;
  }
  bytes data;
  failure problem;
  auto& to = *there.front();
  if (try_encode(request, data, problem))
    to.submit(make_call(to, how, std::move(data), result));
  else
    fail(*result, problem.code, *how.param, std::move(problem.text));
}

void slot_core::go_all(bus_core& bus, const void* request, const call_details& how, const handler_list* local,
                       const far_ends& far, answers_collector& all) const {
  const auto keep_alive = all.shared_from_this();
  all.hold();
  if (local)
    for (const auto& handler : *local)
      run_here(bus, *handler, request, how, all.open_place());
  const auto& there = far.with(local);
  bytes data;
  failure problem;
  const auto encoded = there.empty() || try_encode(request, data, problem);
  for (auto* to : there)
    if (auto place = all.open_place(); encoded)
      to->submit(make_call(*to, how, data, std::move(place)));
    else
      fail(*place, problem.code, *how.param, problem.text);
  all.release();
}

/// Runs a local handler, with the call's own timeout if it has one.
void slot_core::run_here(bus_core& bus, const any_handler& handler, const void* request, const call_details& how,
                         std::shared_ptr<answer_sink> sink) const {
  auto owed = owe(std::move(sink), how.param);
  if (limit(bus, owed, how))
    run(handler, request, std::move(owed));
}

/// The handler or the timer, whichever is first. @returns false if the call has ended.
bool slot_core::limit(bus_core& bus, const std::shared_ptr<owed_answer>& owed, const call_details& how) const {
  auto limit = how.timeout > caf::timespan::zero() ? how.timeout : no_timeout;
  if (how.run_timeout > caf::timespan::zero())
    limit = std::min(limit, how.run_timeout);
  if (limit >= no_timeout)
    return true;
  try {
    // Held weakly, lest the timer stands in for a promise that was dropped.
    const auto timer = bus.timers().schedule(limit, [answer = std::weak_ptr{owed}, slot = name_, param = how.param] {
      if (const auto late = answer.lock())
        late->expire({.code = errc::timed_out, .text = "TIMED_OUT on " + *slot + " with param " + *param});
    });
    owed->limit(bus.shared_timers(), timer);
    return true;
  } catch (const std::system_error&) {
    owed->expire({.code = errc::buffer_full, .text = no_timer});
    return false;
  }
}

/// @returns false if a user's inspect() refused, or a container has more than 2^32 elements.
bool slot_core::try_encode(const void* request, bytes& data, failure& problem) const {
  try {
    data = encode_request(request);
    return true;
  } catch (...) {
    problem = encoding_failure("request");
    return false;
  }
}

pending_call_ptr slot_core::make_call(const call_target& to, const call_details& how, bytes data,
                                      std::shared_ptr<answer_sink> sink) const {
  auto call = std::make_shared<pending_call>(name_, how.param, std::move(data), std::move(sink));
  call->timeout = how.timeout > caf::timespan::zero() ? how.timeout : to.default_timeout();
  call->wait_timeout = how.wait_timeout;
  call->run_timeout = how.run_timeout;
  call->no_buffer = options_.no_buffer;
  return call;
}

// -- waiting ------------------------------------------------------------------

void slot_core::wait(bus_core& bus, waiting_calls::call_ptr x) {
  const auto how = x->how;
  const auto size = x->size;
  const auto result = x->result;
  if (!bus.begin_waiting(size)) {
    fail(*result, errc::buffer_full, *how.param,
         "the buffer is full: too many calls, or bytes of requests, wait until the far ends have registered "
         "handlers; slow down, or raise buffer_calls_max or buffer_bytes_max of the event_bus");
    return;
  }
  const auto id = waiting_.add(x);
  if (id == 0) {
    bus.end_waiting(size);
    fail(*result, errc::channel_closed, *how.param, bus_is_gone);
    return;
  }
  const auto limit = how.wait_timeout > caf::timespan::zero() ? how.wait_timeout : bus.options().wait_timeout;
  if (limit < no_timeout) {
    const auto timer =
        schedule(bus, limit, [param = how.param, id](slot_core& core) { core.waited_too_long(*param, id); });
    if (timer == 0) {
      end_waiting(bus, *how.param, id, {.code = errc::buffer_full, .text = no_timer});
      return;
    }
    if (!waiting_.set_timer(*how.param, id, timer))
      bus.timers().cancel(timer);
  }
  release(*how.param); // a handler may have come in between
}

/// Sends the calls for `param` on their way while every far end is ready; with `goes_on` those that a release before
/// left over.
void slot_core::release(const std::string& param, bool goes_on) {
  if (waiting_.empty())
    return;
  const auto keep_alive = shared_from_this();
  const auto bus = bus_.lock();
  if (!bus || bus->closed())
    return;
  const auto ready = [&] { return look_at_far_ends(*bus, param, false).ready; };
  const auto send = [&](waiting_calls::call_ptr x) {
    if (x->timer != 0)
      bus->timers().cancel(x->timer);
    bus->end_waiting(x->size);
    send_on(*bus, *x);
  };
  while (goes_on ? waiting_.go_on(param, ready, send) : waiting_.release(param, ready, send)) {
    // This thread may be the one that reads a link: the timers' takes over.
    if (schedule(*bus, caf::timespan::zero(), [param](slot_core& core) { core.release(param, true); }))
      return;
    goes_on = true;
  }
}

void slot_core::send_on(bus_core& bus, const waiting_calls::call& x) const {
  if (bus.closed()) // since it was taken out
    fail(*x.result, errc::channel_closed, *x.how.param, bus_is_gone);
  else
    go(bus, x.request.get(), x.how, x.result, x.all, look_at_far_ends(bus, *x.how.param, false));
}

/// Runs `f(core)` after `delay`. @returns the timer, 0 if the system has no thread for it.
timer_service::timer_id slot_core::schedule(bus_core& bus, caf::timespan delay, std::function<void(slot_core&)> f) {
  try {
    return bus.timers().schedule(delay, [core = weak_from_this(), f = std::move(f)] {
      if (auto self = core.lock())
        f(*self);
    });
  } catch (const std::system_error&) {
    return 0;
  }
}

void slot_core::waited_too_long(const std::string& param, std::uint64_t id) {
  const auto bus = bus_.lock();
  if (!bus)
    return; // `close` ends the call
  end_waiting(*bus, param, id,
              {.code = errc::timed_out,
               .text = "TIMED_OUT on " + *name_ + " with param " + param + ": not every far end has a handler for it"});
}

/// Fails a call, if it waits.
void slot_core::end_waiting(bus_core& bus, const std::string& param, std::uint64_t id, failure why) {
  const auto call = waiting_.take(param, id);
  if (!call)
    return;
  bus.end_waiting(call->size);
  fail(*call->result, why.code, param, std::move(why.text));
}

void slot_core::close(bus_core& bus) {
  for (auto& call : waiting_.close()) {
    if (call->timer != 0)
      bus.timers().cancel(call->timer);
    bus.end_waiting(call->size);
    fail(*call->result, errc::channel_closed, *call->how.param, bus_is_gone);
  }
}

// -- handling -----------------------------------------------------------------

std::function<void()> slot_core::add(std::string param, handler_ptr run) {
  if (ignored_)
    throw std::logic_error("slot " + *name_ + " is ignored on this event_bus: it can have no handlers there");
  if (param.size() > std::numeric_limits<std::uint16_t>::max())
    throw std::invalid_argument("slot " + *name_ + ": a parameter has " + std::to_string(param.size()) +
                                " bytes, no far end can be told of more than 65535");
  std::shared_ptr<const handler_list> outdated; // may hold the last of some handler
  std::unique_lock guard{mutex_};
  const auto id = ++last_handler_;
  auto& set = handlers_[param];
  set.by_id.emplace_hint(set.by_id.end(), id, std::move(run));
  outdated.swap(set.list);
  const auto first = set.by_id.size() == 1;
  handled_ = handlers_.size();
  guard.unlock();
  if (first)
    handlers_changed(param);
  return [core = weak_from_this(), param, id] {
    if (auto self = core.lock())
      self->remove(param, id);
  };
}

void slot_core::remove(const std::string& param, std::uint64_t id) {
  handler_ptr removed; // destroyed without the lock
  std::shared_ptr<const handler_list> outdated;
  std::unique_lock guard{mutex_};
  auto pos = handlers_.find(param);
  if (pos == handlers_.end())
    return;
  auto& set = pos->second;
  auto entry = set.by_id.find(id);
  if (entry == set.by_id.end())
    return;
  removed = std::move(entry->second);
  set.by_id.erase(entry);
  outdated.swap(set.list);
  if (!set.by_id.empty()) {
    guard.unlock();
    return;
  }
  handlers_.erase(pos);
  handled_ = handlers_.size();
  guard.unlock();
  handlers_changed(param);
}

std::function<void()> slot_core::add_lazy(lazy_callback connect, lazy_callback disconnect) {
  auto entry = lazies_.add(std::move(connect), std::move(disconnect));
  return [core = weak_from_this(), entry] {
    if (auto self = core.lock())
      self->lazies_.cancel(entry);
  };
}

void slot_core::handle(pending_call_ptr call) {
  const auto local = handlers_of(call->param);
  if (!local)
    call->fail(errc::no_handler, "no handler for slot " + *name_ + " with param " + call->param);
  else if (answers_ && local->size() > 1)
    call->fail(errc::several_handlers, several(local->size()));
  else
    handle_decoded(*local, std::move(call));
}

std::vector<std::string> slot_core::handled_params() const {
  std::lock_guard guard{mutex_};
  std::vector<std::string> result;
  for (const auto& entry : handlers_)
    result.push_back(entry.first);
  return result;
}

bool slot_core::handles(const std::string& param) const {
  std::lock_guard guard{mutex_};
  return handlers_.contains(param);
}

void slot_core::registration_changed(const std::string& param) {
  update_lazies(param);
  release(param);
}

void slot_core::readiness_changed() {
  for (const auto& param : waiting_.params())
    release(param);
}

/// Null if there are none.
std::shared_ptr<const slot_core::handler_list> slot_core::handlers_of(const std::string& param) const {
  if (handled_.load(std::memory_order_acquire) == 0)
    return nullptr;
  std::lock_guard guard{mutex_};
  auto pos = handlers_.find(param);
  if (pos == handlers_.end())
    return nullptr;
  auto& set = pos->second;
  if (!set.list) {
    auto list = std::make_shared<handler_list>();
    list->reserve(set.by_id.size());
    for (const auto& entry : set.by_id)
      list->push_back(entry.second);
    set.list = std::move(list);
  }
  return set.list;
}

/// The first local handler came, or the last one went.
void slot_core::handlers_changed(const std::string& param) {
  if (auto bus = bus_.lock())
    bus->handlers_changed({*name_, param});
  update_lazies(param);
}

void slot_core::update_lazies(const std::string& param) {
  if (!lazies_.empty())
    lazies_.update(param);
}

/// The parameters that have handlers, here or at a far end.
std::vector<std::string> slot_core::used_params() const {
  auto result = handled_params();
  if (auto bus = bus_.lock())
    for (const auto& each : bus->transports())
      if (auto* to = each->target())
        for (auto& param : to->params_of(*name_))
          result.push_back(std::move(param));
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

/// Whether `param` is one of them.
bool slot_core::is_used(const std::string& param) const {
  if (handles(param))
    return true;
  const auto bus = bus_.lock();
  return bus && std::any_of(bus->transports().begin(), bus->transports().end(), [&](const auto& each) {
           const auto* to = each->target();
           return to && to->has_handler(*name_, param);
         });
}

// -- texts --------------------------------------------------------------------

std::string slot_core::several(std::size_t runs) const {
  return std::to_string(runs) + " handlers would answer slot " + *name_ +
         ", whose call has one response: call all() to get every answer";
}

void slot_core::fail(answer_sink& result, errc code, const std::string& param, std::string text) const {
  result.answered(failure{.code = code, .slot = *name_, .param = param, .text = std::move(text)});
}

} // namespace cluster_channel::detail
