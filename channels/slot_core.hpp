// What a slot does, whatever its types: run local handlers, send calls to the far ends when these are ready, answer
// calls from them.
//
// Users see slot.hpp; typed_slot.hpp adds the types. Thread-safe. No lock is held while anything of a user's or a
// channel's is made, copied, run or destroyed: a call runs the handlers that it found, from a list that is replaced,
// never changed.
#pragma once

#include <cluster_channel/channels/answers.hpp>
#include <cluster_channel/channels/bus_core.hpp>
#include <cluster_channel/channels/lazy_list.hpp>
#include <cluster_channel/channels/promise.hpp>
#include <cluster_channel/channels/slot_options.hpp>
#include <cluster_channel/channels/waiting_calls.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cluster_channel::detail {

/// A handler of some type.
class any_handler {
public:
  any_handler() = default;
  any_handler(const any_handler&) = delete;
  any_handler& operator=(const any_handler&) = delete;
  virtual ~any_handler() = default;
};

using handler_ptr = std::shared_ptr<const any_handler>;

/// A request is a pointer to what the derived class knows.
class slot_core : public slot_base, public std::enable_shared_from_this<slot_core> {
public:
  /// @param answers whether its handlers answer with a value.
  /// @param ignored whether the bus ignores this slot.
  slot_core(std::string name, slot_options options, std::weak_ptr<bus_core> bus, bool answers, bool ignored);

  const std::string& name() const noexcept { return *name_; }

  /// Registers a handler; the returned function removes it.
  /// @throws std::invalid_argument if no message can carry the parameter, std::logic_error if the bus ignores the slot.
  std::function<void()> add(std::string param, handler_ptr run);

  /// Calls `connect(param)` when a first handler comes, `disconnect(param)` when the last one goes.
  std::function<void()> add_lazy(lazy_callback connect, lazy_callback disconnect);

  // -- slot_base --------------------------------------------------------------
  void handle(pending_call_ptr call) override;
  std::vector<std::string> handled_params() const override;
  bool handles(const std::string& param) const override;
  void registration_changed(const std::string& param) override;
  void readiness_changed() override;
  bool auto_reconnect() const noexcept override { return options_.auto_reconnect; }
  void close(bus_core& bus) override;

protected:
  using handler_list = std::vector<handler_ptr>;

  // -- calling ----------------------------------------------------------------

  /// Calls every handler of the parameter, here and at the far ends, as soon as every far end is ready for it. With
  /// `all` for the answers of all, else for one answer, which goes to `result`. What fails the call as a whole goes to
  /// `result` in any case.
  /// @param request is moved from if the call has to wait.
  void start(void* request, call_options&& options, std::shared_ptr<answer_sink> result,
             std::shared_ptr<answers_collector> all);

  /// Calls every local handler and everyone at the far ends, without waiting for any.
  void start_broadcast(const void* request, call_options&& options, std::shared_ptr<answer_sink> result,
                       std::shared_ptr<answers_collector> all);

  // -- what needs types -------------------------------------------------------

  virtual std::shared_ptr<const void> keep_request(void* request) const = 0;
  virtual bytes encode_request(const void* request) const = 0; // throws what it likes
  virtual std::shared_ptr<owed_answer> owe(std::shared_ptr<answer_sink> to, const shared_text& param) const = 0;
  virtual void run(const any_handler& handler, const void* request, std::shared_ptr<owed_answer>&& done) const = 0;

  /// Decodes the request of a far end's call, and has it handled by `local`.
  virtual void handle_decoded(const handler_list& local, pending_call_ptr&& call) const = 0;

  const shared_text& shared_name() const noexcept { return name_; }

private:
  struct handler_set {
    std::map<std::uint64_t, handler_ptr> by_id; // never empty
    std::shared_ptr<const handler_list> list;   // what calls run: made by the first one after a change
  };
  struct far_ends;

  // -- the way of a call ------------------------------------------------------
  std::shared_ptr<bus_core> usable_bus(answer_sink& result, const std::string& param) const;
  call_details details(call_options&& options) const;
  far_ends look_at_far_ends(const bus_core& bus, const std::string& param, bool may_reconnect) const;
  void go(bus_core& bus, const void* request, const call_details& how, const std::shared_ptr<answer_sink>& result,
          const std::shared_ptr<answers_collector>& all, const far_ends& far) const;
  void go_one(bus_core& bus, const void* request, const call_details& how, const std::shared_ptr<answer_sink>& result,
              const handler_list* local, const far_ends& far) const;
  void go_all(bus_core& bus, const void* request, const call_details& how, const handler_list* local,
              const far_ends& far, answers_collector& all) const;
  void run_here(bus_core& bus, const any_handler& handler, const void* request, const call_details& how,
                std::shared_ptr<answer_sink> sink) const;
  bool limit(bus_core& bus, const std::shared_ptr<owed_answer>& owed, const call_details& how) const;
  bool try_encode(const void* request, bytes& data, failure& problem) const;
  pending_call_ptr make_call(const call_target& to, const call_details& how, bytes data,
                             std::shared_ptr<answer_sink> sink) const;

  // -- waiting ----------------------------------------------------------------
  void wait(bus_core& bus, waiting_calls::call_ptr x);
  void release(const std::string& param, bool goes_on = false);
  void send_on(bus_core& bus, const waiting_calls::call& x) const;
  timer_service::timer_id schedule(bus_core& bus, caf::timespan delay, std::function<void(slot_core&)> f);
  void waited_too_long(const std::string& param, std::uint64_t id);
  void end_waiting(bus_core& bus, const std::string& param, std::uint64_t id, failure why);

  // -- handlers ---------------------------------------------------------------
  std::shared_ptr<const handler_list> handlers_of(const std::string& param) const;
  void remove(const std::string& param, std::uint64_t id);
  void handlers_changed(const std::string& param);
  void update_lazies(const std::string& param);
  std::vector<std::string> used_params() const;
  bool is_used(const std::string& param) const;

  // -- texts ------------------------------------------------------------------
  std::string several(std::size_t runs) const;
  void fail(answer_sink& result, errc code, const std::string& param, std::string text) const;

  const shared_text name_;
  const slot_options options_;
  const std::weak_ptr<bus_core> bus_;
  const bool answers_;
  const bool ignored_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, handler_set, std::less<>> handlers_;
  std::atomic<std::size_t> handled_{0}; // parameters with handlers
  std::uint64_t last_handler_ = 0;
  waiting_calls waiting_;
  lazy_list lazies_{[this] { return used_params(); }, [this](const std::string& param) { return is_used(param); }};
};

} // namespace cluster_channel::detail
