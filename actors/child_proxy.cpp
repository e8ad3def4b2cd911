#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/actors/detail/closing_broker.hpp>
#include <cluster_channel/actors/detail/saturating.hpp>
#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/actors/registration_table.hpp>

#include <caf/io/middleman.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>
#include <cstring>

namespace cluster_channel {

namespace {

/// Bounds of what one read may bring, in bytes: CAF clears its read buffer before every read, so a large one is slow
/// for small messages; a small one is slow for large messages.
constexpr std::size_t read_bytes_least = 4096;
constexpr std::size_t read_bytes_most = std::size_t{256} << 10;

/// A write buffer that has grown beyond this is given back when it is empty.
constexpr std::size_t kept_write_bytes = std::size_t{1} << 20;

struct hello_overdue {};
struct exit_overdue {};
struct rest_overdue {};

} // namespace

} // namespace cluster_channel

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::hello_overdue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::exit_overdue)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cluster_channel::rest_overdue)

namespace cluster_channel {

caf::actor spawn_child_proxy(caf::actor_system& system, const caf::actor& supervisor, const caf::actor& router,
                             const process_started& process, std::shared_ptr<const link_settings> settings,
                             std::size_t program) {
  using actor_type = caf::stateful_actor<child_proxy_state, detail::closing_broker>;
  return system.middleman().spawn_broker(
      [](actor_type* self, const caf::actor& its_supervisor, const caf::actor& its_router,
         const process_started& its_process, const std::shared_ptr<const link_settings>& its_settings,
         std::size_t its_program) {
        return self->state.start(self, its_supervisor, its_router, its_process, its_settings, its_program);
      },
      supervisor, router, process, std::move(settings), program);
}

std::string to_string(const exit_status& status) {
  if (!status.signaled)
    return "Node closed, code: " + std::to_string(status.value) + ", signal: null";
  const auto* abbreviation = ::sigabbrev_np(status.value);
  return "Node closed, code: null, signal: " +
         (abbreviation ? "SIG" + std::string{abbreviation} : std::to_string(status.value));
}

caf::behavior child_proxy_state::start(caf::io::broker* self, const caf::actor& supervisor, const caf::actor& router,
                                       const process_started& process, std::shared_ptr<const link_settings> settings,
                                       std::size_t program) {
  self_ = self;
  supervisor_ = supervisor;
  router_ = router;
  process_ = process;
  settings_ = std::move(settings);
  const auto its_program = programs_of(settings_->options).at(program);
  executable_ = its_program.executable;
  if (its_program.codec == message_codec::json) {
    codec_ = make_json_link_codec(settings_->options.frame_bytes_max, settings_->forms);
    kept_.emplace();
  } else {
    codec_ = make_binary_link_codec(settings_->options.frame_bytes_max);
  }
  self_->link_to(supervisor_);
  // A child without a hello may wait for the master's handlers before it says anything.
  caf::anon_send(router_, node_introduced{process_.node, caf::actor_cast<caf::actor>(self_), !codec_->has_hello()});
  link_ = self_->add_scribe(process_.link_fd);
  read_bytes_ = read_bytes_least;
  self_->configure_read(link_, caf::io::receive_policy::at_most(read_bytes_));
  write(settings_->greeting);
  self_->flush(link_);
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), detail::as_delay(settings_->options.start_timeout),
                         hello_overdue{});
  return greeting();
}

// -- lifecycle states ---------------------------------------------------------

caf::behavior child_proxy_state::greeting() {
  return {
      [this](const caf::io::new_data_msg& msg) { receive(msg); },
      [this](const caf::io::connection_closed_msg&) { lose_link(); },
      [this](const process_exited& event) { learn_exit(event.status); },
      [this](const shut_link&) { leave(); },
      [](const child_answer&) {},
      [this](const tell_child& msg) {
        if (!codec_->has_hello()) // else they are told after the hellos
          tell(msg.messages);
      },
      [this](const hello_overdue&) {
        const auto what =
            "from " + executable_ + " within " + std::to_string(settings_->options.start_timeout.count()) + " ms: ";
        gone(
            {.code = errc::launch_failed,
             .text = codec_->has_hello()
                         ? "no hello " + what + "is it a cluster_channel child, and does it reach child_channel::run()?"
                         : "no message " + what + "does it make an event bus on Node's IPC and register a handler?"},
            true, true);
      },
  };
}

caf::behavior child_proxy_state::serving() {
  return {
      [this](const caf::io::new_data_msg& msg) { receive(msg); },
      [this](assign_calls& msg) { assign(msg); },
      [this](child_answer& msg) { answer_child(msg); },
      [this](const tell_child& msg) { tell(msg.messages); },
      [this](const caf::io::connection_closed_msg&) { lose_link(); },
      [this](const process_exited& event) { learn_exit(event.status); },
      [this](const shut_link&) { leave(); },
      [this](const hello_overdue&) {
        if (kept_) {
          kept_->stop_waiting();
          send_kept();
        }
      },
  };
}

caf::behavior child_proxy_state::link_lost() {
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), detail::as_delay(settings_->options.disconnect_grace),
                         exit_overdue{});
  return {
      [this](const process_exited& event) { gone(died(to_string(*(status_ = event.status)))); },
      [this](const exit_overdue&) { gone(died("Node disconnected")); },
      [this](const assign_calls&) {
        served_ = true;
      }, // they fail with node_gone: the router counts them as running here
      [](const child_answer&) {},
      [](const tell_child&) {},
      [](const shut_link&) {},
      [](const hello_overdue&) {},
  };
}

caf::behavior child_proxy_state::exited() {
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), detail::as_delay(settings_->options.disconnect_grace),
                         rest_overdue{});
  return {
      [this](const caf::io::new_data_msg& msg) { receive(msg); },
      [this](const caf::io::connection_closed_msg&) { gone(died(to_string(*status_))); },
      [this](const rest_overdue&) { gone(died(to_string(*status_))); },
      [this](const assign_calls&) { served_ = true; },
      [](const child_answer&) {},
      [](const tell_child&) {},
      [](const shut_link&) {},
      [](const hello_overdue&) {},
  };
}

caf::behavior child_proxy_state::leaving() {
  return {
      [this](const process_exited& event) { gone(died(to_string(*(status_ = event.status)))); },
      [](const caf::io::new_data_msg&) {},
      [](const caf::io::connection_closed_msg&) {},
      [this](const assign_calls&) { served_ = true; },
      [](const child_answer&) {},
      [](const tell_child&) {},
      [](const shut_link&) {},
      [](const hello_overdue&) {},
  };
}

void child_proxy_state::gone(failure cause, bool permanent, bool misbehaved) {
  if (std::exchange(gone_, true))
    return;
  cause.node = process_.node;
  cause.pid = process_.pid;
  if (!greeted_)
    caf::anon_send(router_, node_introduced{process_.node, nullptr});
  caf::anon_send(supervisor_, node_gone{.node = process_.node,
                                        .cause = std::move(cause),
                                        .served = served_,
                                        .permanent = permanent,
                                        .misbehaved = misbehaved});
  self_->quit();
}

// -- events -------------------------------------------------------------------

void child_proxy_state::assign(assign_calls& msg) {
  served_ = true;
  if (auto& out = self_->wr_buf(link_); out.empty() && out.capacity() > kept_write_bytes)
    std::vector<char>{}.swap(out);
  calls_finished refused{process_.node, {}};
  for (auto& call : msg.calls) {
    if (kept_ && kept_->look_at(call) == kept_calls::verdict::waits)
      kept_->keep(std::move(call));
    else
      send_call(std::move(call), refused);
  }
  self_->flush(link_);
  if (!refused.calls.empty())
    caf::anon_send(router_, std::move(refused));
}

void child_proxy_state::send_call(request&& call, calls_finished& refused) {
  const auto id = call.id;
  const auto verdict = kept_ ? kept_->look_at(call) : kept_calls::verdict::goes;
  if (verdict == kept_calls::verdict::goes) {
    if (auto err = codec_->write(self_->wr_buf(link_), std::move(call)))
      refused.calls.push_back({id, failure_of(err)});
  } else if (verdict == kept_calls::verdict::ignored) {
    refused.calls.push_back(
        {id, failure{.code = errc::event_ignored, .text = "slot " + call.slot + " is ignored there"}});
  } else {
    refused.calls.push_back({id, failure{.code = errc::no_handler,
                                         .text = "no handler for slot " + call.slot + " with param " + call.param}});
  }
}

/// Sends, or fails, the kept calls that need not wait any more.
void child_proxy_state::send_kept() {
  calls_finished refused{process_.node, {}};
  for (auto& call : kept_->take_decided())
    send_call(std::move(call), refused);
  self_->flush(link_);
  if (!refused.calls.empty())
    caf::anon_send(router_, std::move(refused));
}

void child_proxy_state::receive(const caf::io::new_data_msg& msg) {
  codec_->feed(std::as_bytes(std::span{msg.buf}));
  calls_finished answers{process_.node, {}};
  caf::error broken;
  while (auto next = codec_->next(self_->wr_buf(link_))) {
    if (!greeted_ && !codec_->has_hello()) {
      greet_without_hello();
    } else if (!greeted_ && !std::holds_alternative<hello>(*next)) {
      broken = make_error(errc::protocol_error, "the first message was no hello");
      break;
    }
    if (auto* answer = std::get_if<response>(&*next)) {
      answers.calls.push_back({answer->id, std::move(answer->data)});
    } else if (auto* err = std::get_if<error_message>(&*next)) {
      err->what.node = process_.node;
      err->what.pid = process_.pid;
      answers.calls.push_back({err->id, std::move(err->what)});
    } else if (const auto* theirs = std::get_if<hello>(&*next)) {
      if (greeted_) {
        broken = make_error(errc::protocol_error, "a second hello");
        break;
      }
      receive_hello(*theirs);
    } else {
      // The router hears it in the order in which the child said it.
      if (!answers.calls.empty())
        caf::anon_send(router_, std::exchange(answers, {process_.node, {}}));
      if ((broken = receive_other(*next)))
        break;
    }
  }
  self_->flush(link_);
  if (!answers.calls.empty())
    caf::anon_send(router_, std::move(answers));
  if (!broken)
    broken = codec_->error();
  if (broken)
    gone({.code = errc::protocol_error, .text = "the child sent what is no valid message: " + failure_of(broken).text},
         false, true);
  else
    adapt_read_size(msg.buf.size());
}

void child_proxy_state::receive_hello(const hello& theirs) {
  if (auto err = compare_hellos(settings_->greeting, theirs)) {
    gone(failure_of(err), true, true);
    return;
  }
  std::vector<std::string> slots;
  for (const auto& slot : theirs.slots)
    slots.push_back(slot.name);
  become_ready(std::move(slots));
}

/// ts-event-bus shares the declaration, but does not say so: whatever the master has, the child may have.
void child_proxy_state::greet_without_hello() {
  const auto forms = settings_->forms();
  if (!forms) { // the master has no bus yet
    become_ready(std::nullopt);
    return;
  }
  std::vector<std::string> slots;
  for (const auto& entry : *forms)
    slots.push_back(entry.first);
  become_ready(std::move(slots));
}

void child_proxy_state::become_ready(std::optional<std::vector<std::string>> slots) {
  greeted_ = true;
  caf::anon_send(supervisor_, node_hello{process_.node, std::move(slots)});
  if (!status_)
    self_->become(serving());
}

caf::error child_proxy_state::receive_other(message& msg) {
  if (auto* call = std::get_if<request>(&msg))
    return receive_call(*call);
  if (const auto* added = std::get_if<handler_registered>(&msg)) {
    registered_.emplace(added->slot, added->param);
    if (registered_.size() > registrations_max)
      return make_error(errc::protocol_error,
                        "more than " + std::to_string(registrations_max) + " handlers registered at a time");
  } else if (const auto* removed = std::get_if<handler_unregistered>(&msg)) {
    if (registered_.erase({removed->slot, removed->param}) == 0)
      return {}; // it had none
  } else if (!std::holds_alternative<event_list>(msg)) {
    return make_error(errc::protocol_error, "a message that does not belong on this link");
  }
  if (kept_) {
    kept_->learn(msg);
    send_kept();
  }
  caf::anon_send(router_, node_announcement{process_.node, std::move(msg)});
  return {};
}

caf::error child_proxy_state::receive_call(request& call) {
  const auto& options = settings_->options;
  const auto size = call.data.size() + call.slot.size() + call.param.size();
  if (child_calls_.size() >= options.child_calls_max || size > options.buffer_bytes_max - child_call_bytes_) {
    write(error_message{call.id,
                        {.code = errc::buffer_full,
                         .text = "the master's buffer is full: " + std::to_string(child_calls_.size()) +
                                 " calls with " + std::to_string(child_call_bytes_) +
                                 " bytes from this child are open; slow down, or raise child_calls_max or "
                                 "buffer_bytes_max"}});
    return {};
  }
  if (!child_calls_.emplace(call.id, size).second)
    return make_error(errc::protocol_error, "two open calls with the id " + std::to_string(call.id));
  child_call_bytes_ += size;
  caf::anon_send(router_, child_call{process_.node, std::move(call)});
  return {};
}

void child_proxy_state::answer_child(child_answer& msg) {
  auto open = child_calls_.extract(msg.call);
  if (open.empty())
    return;
  child_call_bytes_ -= open.mapped();
  message reply = error_message{msg.call, {}};
  if (auto* data = std::get_if<bytes>(&msg.result))
    reply = response{msg.call, std::move(*data)};
  else
    std::get<error_message>(reply).what = std::move(std::get<failure>(msg.result));
  if (auto err = codec_->write(self_->wr_buf(link_), reply)) {
    auto what = failure_of(err);
    what.text = "the answer does not fit: " + what.text;
    write(error_message{msg.call, std::move(what)});
  }
  self_->flush(link_);
}

void child_proxy_state::tell(const std::vector<message>& messages) {
  for (const auto& msg : messages)
    write(msg);
  self_->flush(link_);
}

void child_proxy_state::lose_link() {
  self_->become(link_lost());
}

void child_proxy_state::learn_exit(const exit_status& status) {
  status_ = status;
  self_->become(exited());
}

void child_proxy_state::leave() {
  self_->close(link_); // what is written goes out first; then end of file
  self_->become(leaving());
}

// -- helpers ------------------------------------------------------------------

bool child_proxy_state::write(const message& msg) {
  return !codec_->write(self_->wr_buf(link_), msg);
}

failure child_proxy_state::died(const std::string& text) const {
  failure result{.code = errc::node_died, .text = text};
  if (status_)
    (status_->signaled ? result.signal : result.exit_code) = status_->value;
  if (codec_->mid_message())
    result.text += ", in the middle of a message";
  if (!greeted_)
    result.text += codec_->has_hello() ? ", before it said hello: is " + executable_ + " a cluster_channel child?"
                                       : ", before it said anything on Node's IPC: does " + executable_ +
                                             " make an event bus and register a handler?";
  return result;
}

void child_proxy_state::adapt_read_size(std::size_t received) {
  const auto before = read_bytes_;
  if (received >= read_bytes_)
    read_bytes_ = std::min(2 * read_bytes_, read_bytes_most);
  else if (received < read_bytes_ / 8)
    read_bytes_ = std::max(read_bytes_ / 2, read_bytes_least);
  if (read_bytes_ != before)
    self_->configure_read(link_, caf::io::receive_policy::at_most(read_bytes_));
}

} // namespace cluster_channel
