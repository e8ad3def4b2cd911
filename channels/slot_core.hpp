// What a slot does: run local handlers, send calls to the far ends, answer calls from them.
//
// Users see slot.hpp. Thread-safe: handlers are kept in lists that are replaced, never changed, so that a call runs
// the handlers it found without holding a lock.
#pragma once

#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/call.hpp>
#include <cluster_channel/channels/handler.hpp>

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

namespace cluster_channel::detail {

/// Collects the ends of several runs of one event: done when all are, failed by the first failure.
class event_collector {
public:
  event_collector(std::size_t runs, std::shared_ptr<call_state<void>> state) : open_{runs}, state_{std::move(state)} {}

  void run_ended(caf::expected<void>&& x) {
    std::unique_lock guard{mutex_};
    if (!x && !first_error_)
      first_error_ = x.error();
    if (--open_ > 0)
      return;
    guard.unlock();
    state_->deliver(first_error_ ? caf::expected<void>{first_error_} : caf::expected<void>{caf::unit});
  }

private:
  std::mutex mutex_;
  std::size_t open_;
  caf::error first_error_;
  std::shared_ptr<call_state<void>> state_;
};

/// Hands an answer from a far end to an event_collector.
class event_sink final : public answer_sink {
public:
  explicit event_sink(std::shared_ptr<event_collector> collector) : collector_{std::move(collector)} {}

  void answered(answer&& x) noexcept override {
    auto* what = std::get_if<failure>(&x);
    collector_->run_ended(what ? caf::expected<void>{make_error(std::move(*what))} : caf::expected<void>{caf::unit});
  }

private:
  std::shared_ptr<event_collector> collector_;
};

template <class Request, class Response>
class slot_core final : public slot_base, public std::enable_shared_from_this<slot_core<Request, Response>> {
public:
  using stored = stored_request<Request>;
  using handler = handler_function<Request, Response>;
  using state = call_state<Response>;

  slot_core(std::string name, std::weak_ptr<bus_core> bus) : name_{std::move(name)}, bus_{std::move(bus)} {}

  const std::string& name() const noexcept { return name_; }

  /// Calls every handler of `param`, here and at the far ends.
  cluster_channel::call<Response> call(stored&& request, std::string param, caf::timespan timeout) {
    auto result = std::make_shared<state>();
    const auto bus = bus_.lock();
    if (!bus) {
      end(*result, errc::channel_closed, param, "the event bus of this slot is gone");
      return cluster_channel::call<Response>{std::move(result)};
    }
    const auto local = handlers_of(param);
    const auto& far_ends = bus->far_ends();
    const auto runs = (local ? local->size() : 0) + far_ends.size();
    if (runs == 0) {
      end(*result, errc::no_handler, param, "no handler for slot " + name_ + " with param " + param);
    } else if (runs == 1 && !far_ends.empty()) {
      submit(*far_ends.front(), request, std::move(param), timeout, result);
    } else if (runs == 1) {
      local->front().second(
          request, promise<Response>{[result, core = this->shared_from_this(), param](caf::expected<Response>&& x) {
            result->deliver(x ? std::move(x) : core->with_place(x.error(), param));
          }});
    } else if constexpr (std::is_void_v<Response>) {
      auto collector = std::make_shared<event_collector>(runs, result);
      auto sink = std::make_shared<event_sink>(collector);
      for (const auto& far_end : far_ends)
        submit(*far_end, request, param, timeout, sink);
      if (local)
        for (const auto& [id, run] : *local)
          run(request, promise<void>{[collector](caf::expected<void>&& x) { collector->run_ended(std::move(x)); }});
    } else {
      end(*result, errc::several_handlers, param,
          std::to_string(runs) + " handlers would answer slot " + name_ + ", whose call has one response");
    }
    return cluster_channel::call<Response>{std::move(result)};
  }

  /// Registers a handler; the returned function removes it.
  std::function<void()> add(std::string param, handler run) {
    std::unique_lock guard{mutex_};
    const auto id = ++last_handler_;
    auto& list = handlers_[param];
    auto next = list ? std::make_shared<handler_list>(*list) : std::make_shared<handler_list>();
    next->emplace_back(id, std::move(run));
    list = std::move(next);
    const auto first = list->size() == 1;
    guard.unlock();
    if (first)
      announce(handler_registered{name_, param});
    return [core = this->weak_from_this(), param, id] {
      if (auto self = core.lock())
        self->remove(param, id);
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
        call->fail(errc::several_handlers, std::to_string(local->size()) + " handlers would answer slot " + name_ +
                                               ", whose call has one response");
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
      auto done = std::make_shared<call_state<void>>();
      done->on_done([state = done.get(), call] { call->finish(encoded(state->take())); });
      auto collector = std::make_shared<event_collector>(local->size(), done);
      for (const auto& [id, run] : *local)
        run(*request, promise<void>{[collector](caf::expected<void>&& x) { collector->run_ended(std::move(x)); }});
    }
  }

  std::vector<std::string> handled_params() const override {
    std::lock_guard guard{mutex_};
    std::vector<std::string> result;
    for (const auto& [param, list] : handlers_)
      result.push_back(param);
    return result;
  }

private:
  using handler_list = std::vector<std::pair<std::uint64_t, handler>>;

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
    announce(handler_unregistered{name_, param});
  }

  void announce(const message& registration) const {
    if (auto bus = bus_.lock())
      bus->announce(registration);
  }

  void submit(call_target& far_end, const stored& request, std::string param, caf::timespan timeout,
              std::shared_ptr<answer_sink> sink) const {
    auto call = std::make_shared<pending_call>(name_, std::move(param), bytes{}, std::move(sink));
    call->timeout = timeout > caf::timespan::zero() ? timeout : far_end.default_timeout();
    if constexpr (!std::is_void_v<Request>) {
      try {
        call->data = encode(request);
      } catch (const std::exception& ex) { // a user's inspect() refused, or a container beyond 2^32 elements
        call->fail(errc::bad_payload, std::string{"the request cannot be encoded: "} + ex.what());
        return;
      }
    }
    far_end.submit(std::move(call));
  }

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

  /// An error of a local handler says which slot it came from, as one from a far end does.
  caf::expected<Response> with_place(const caf::error& err, const std::string& param) const {
    auto what = failure_of(err);
    if (what.slot.empty()) {
      what.slot = name_;
      what.param = param;
    }
    return make_error(std::move(what));
  }

  void end(state& result, errc code, const std::string& param, std::string text) const {
    failure what;
    what.code = code;
    what.slot = name_;
    what.param = param;
    what.text = std::move(text);
    result.deliver(caf::expected<Response>{make_error(std::move(what))});
  }

  const std::string name_;
  const std::weak_ptr<bus_core> bus_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const handler_list>, std::less<>> handlers_; // never an empty list
  std::uint64_t last_handler_ = 0;
};

} // namespace cluster_channel::detail
