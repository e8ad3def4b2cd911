// The types of a slot, around its core, which does everything else: encodes requests, decodes them, runs handlers.
//
// Users see slot.hpp. Thread-safe.
#pragma once

#include <cluster_channel/channels/call.hpp>
#include <cluster_channel/channels/handler.hpp>
#include <cluster_channel/channels/slot_core.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace cluster_channel::detail {

template <class Request, class Response>
class typed_slot final : public slot_core {
public:
  using stored = stored_request<Request>;
  using handler = handler_function<Request, Response>;

  typed_slot(std::string name, slot_options options, std::weak_ptr<bus_core> bus, bool ignored)
      : slot_core{std::move(name), options, std::move(bus), !std::is_void_v<Response>, ignored} {}

  call<Response> call_one(stored&& request, call_options&& options) {
    auto result = std::make_shared<answer_state<Response>>();
    start(&request, std::move(options), result, nullptr);
    return call<Response>{std::move(result)};
  }

  /// The values of all answers, or the first failure.
  auto call_all(stored&& request, call_options&& options) {
    auto result = std::make_shared<made_state<std::vector<Response>>>();
    start(&request, std::move(options), result, std::make_shared<values_collector<Response>>(result));
    return call<std::vector<Response>>{std::move(result)};
  }

  /// Every answer and every failure.
  call<answers<Response>> call_all_settled(stored&& request, call_options&& options) {
    auto result = std::make_shared<made_state<answers<Response>>>();
    start(&request, std::move(options), result, std::make_shared<settled_collector<Response>>(result));
    return call<answers<Response>>{std::move(result)};
  }

  call<answers<Response>> broadcast(const stored& request, call_options&& options) {
    auto result = std::make_shared<made_state<answers<Response>>>();
    start_broadcast(&request, std::move(options), result, std::make_shared<settled_collector<Response>>(result));
    return call<answers<Response>>{std::move(result)};
  }

  std::function<void()> add(std::string param, handler run) {
    return slot_core::add(std::move(param), std::make_shared<const typed_handler>(std::move(run)));
  }

private:
  struct typed_handler final : any_handler {
    explicit typed_handler(handler f) : run{std::move(f)} {}
    handler run;
  };

  std::shared_ptr<const void> keep_request(void* request) const override {
    return std::make_shared<const stored>(std::move(*static_cast<stored*>(request)));
  }

  bytes encode_request(const void* request) const override {
    if constexpr (std::is_void_v<Request>)
      return {};
    else
      return encode(*static_cast<const Request*>(request));
  }

  std::shared_ptr<owed_answer> owe(std::shared_ptr<answer_sink> to, const shared_text& param) const override {
    return std::make_shared<promise_state<Response>>(std::move(to), shared_name(), param);
  }

  void run(const any_handler& x, const void* request, std::shared_ptr<owed_answer>&& done) const override {
    static_cast<const typed_handler&>(x).run(
        *static_cast<const stored*>(request),
        promise<Response>{std::static_pointer_cast<promise_state<Response>>(std::move(done))});
  }

  void handle_decoded(const handler_list& local, pending_call_ptr&& call) const override {
    const auto request = decode_request(call->data);
    if (!request) {
      call->finish(failure_of(request.error()));
      return;
    }
    if (local.size() == 1) {
      run(*local.front(), &*request, std::make_shared<promise_state<Response>>(std::move(call)));
      return;
    }
    if constexpr (std::is_void_v<Response>) { // else there is one
      const auto all = std::make_shared<event_collector>(std::move(call));
      all->hold();
      for (const auto& each : local)
        run(*each, &*request, std::make_shared<promise_state<Response>>(all->open_place(), nullptr, nullptr));
      all->release();
    }
  }

  static caf::expected<stored> decode_request(const bytes& data) noexcept {
    try {
      if constexpr (!std::is_void_v<Request>)
        return decode<Request>(data);
      else if (data.empty())
        return nothing{};
      else
        return make_error(errc::bad_payload,
                          "a request without data was expected, " + std::to_string(data.size()) + " bytes came");
    } catch (...) {
      return make_error(taking_failure("request"));
    }
  }
};

} // namespace cluster_channel::detail
