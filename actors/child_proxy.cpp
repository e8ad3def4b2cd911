#include <cluster_channel/actors/child_proxy.hpp>
#include <cluster_channel/actors/detail/closing_broker.hpp>
#include <cluster_channel/actors/detail/guarded.hpp>
#include <cluster_channel/actors/detail/saturating.hpp>
#include <cluster_channel/actors/hello.hpp>
#include <cluster_channel/actors/registration_table.hpp>

#include <caf/io/middleman.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <sys/socket.h>

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
  detail::unique_fd link{process.link_fd};
  self_ = self;
  supervisor_ = supervisor;
  router_ = router;
  process_ = process;
  // What goes wrong here costs this node, and nothing else.
  self_->set_exception_handler([this](std::exception_ptr& thrown) -> caf::error { return lose_node(thrown); });
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
  auto ours = settings_->greeting;
  ours.frame_bytes_max = static_cast<std::uint32_t>(settings_->options.frame_bytes_max);
  std::vector<char> first;
  static_cast<void>(codec_->write(first, ours));
  if (codec_->has_hello() && settings_->options.calls_per_node > 1) // else there is no batch of answers
    share_journal(first);
  link_ = self_->add_scribe(link.release());
  link_open_ = true;
  read_bytes_ = read_bytes_least;
  self_->configure_read(link_, caf::io::receive_policy::at_most(read_bytes_));
  self_->wr_buf(link_).insert(self_->wr_buf(link_).end(), first.begin(), first.end());
  self_->flush(link_);
  caf::delayed_anon_send(caf::actor_cast<caf::actor>(self_), detail::as_delay(settings_->options.start_timeout),
                         hello_overdue{});
  return greeting();
}

/// Sends the memory for unsent answers along with the first byte of `out`, and takes that from it. Without memory the
/// child sends each answer at once.
void child_proxy_state::share_journal(std::vector<char>& out) {
  auto journal = journal_reader::make();
  if (journal.fd() < 0 || out.empty())
    return;
  const auto fd = journal.fd();
  iovec data{out.data(), 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  msghdr msg{};
  msg.msg_iov = &data;
  msg.msg_iovlen = 1;
  msg.msg_control = control.data();
  msg.msg_controllen = control.size();
  auto* part = CMSG_FIRSTHDR(&msg);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  if (::sendmsg(process_.link_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
    return;
  out.erase(out.begin());
  journal_ = std::move(journal);
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
      [this](const caf::io::connection_closed_msg&) {
        recover_answers();
        gone(died(to_string(*status_)));
      },
      [this](const rest_overdue&) {
        recover_answers();
        gone(died(to_string(*status_)));
      },
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
  cap_texts(cause, cause_text_bytes_max);
  cause.node = process_.node;
  cause.pid = process_.pid;
  if (misbehaved && link_open_) // else CAF first sends what waits, to a child that may never read it
    ::shutdown(process_.link_fd, SHUT_RDWR);
  if (!greeted_)
    caf::anon_send(router_, node_introduced{process_.node, nullptr});
  caf::anon_send(supervisor_, node_gone{.node = process_.node,
                                        .cause = std::move(cause),
                                        .served = served_,
                                        .permanent = permanent,
                                        .misbehaved = misbehaved});
  self_->quit();
}

/// An exception came out of a handler, which ends this actor.
caf::error child_proxy_state::lose_node(const std::exception_ptr& thrown) noexcept {
  try {
    gone({.code = errc::node_died, .text = "the master could not go on with this node: " + detail::text_of(thrown)},
         false, true);
  } catch (...) { // no memory even for that: the supervisor sees that this actor has ended
  }
  return caf::exit_reason::unhandled_exception;
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
  take_in(std::as_bytes(std::span{msg.buf}));
  if (!gone_)
    adapt_read_size(msg.buf.size());
}

/// The link has ended: takes in what the child had answered by then, and not sent.
void child_proxy_state::recover_answers() {
  link_open_ = false;
  const auto rest = std::exchange(journal_, {}).rest(received_bytes_);
  if (greeted_ && !rest.empty())
    take_in(rest);
}

void child_proxy_state::take_in(bytes_view data) {
  received_bytes_ += data.size();
  codec_->feed(data);
  calls_finished answers{process_.node, {}};
  caf::error broken;
  for (;;) {
    const auto buffered = self_->wr_buf(link_).size();
    auto next = codec_->next(self_->wr_buf(link_));
    if ((broken = check_unread(buffered)) || !next)
      break;
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
      cap_texts(err->what);
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
  if (broken && code_of(broken) == errc::protocol_error)
    gone({.code = errc::protocol_error, .text = "the child sent what is no valid message: " + failure_of(broken).text},
         false, true);
  else if (broken)
    gone(failure_of(broken), false, true);
}

void child_proxy_state::receive_hello(const hello& theirs) {
  if (auto err = compare_hellos(settings_->greeting, theirs)) {
    gone(failure_of(err), true, true);
    return;
  }
  if (theirs.frame_bytes_max > 0)
    codec_->limit_writes(theirs.frame_bytes_max);
  std::vector<std::string> slots;
  std::size_t bytes_of_names = 0;
  for (const auto& slot : theirs.slots) {
    bytes_of_names += slot.name.size();
    slots.push_back(slot.name);
  }
  if (bytes_of_names > registration_bytes_max) {
    gone({.code = errc::protocol_error,
          .text = "the names in the child's hello have more than " + std::to_string(registration_bytes_max) + " bytes"},
         true, true);
    return;
  }
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
  for (const auto& slot : settings_->greeting.slots)
    declared_.insert(slot.name);
  if (slots)
    declared_.insert(slots->begin(), slots->end());
  caf::anon_send(supervisor_, node_hello{process_.node, std::move(slots)});
  if (!status_)
    self_->become(serving());
}

/// Whether anybody can ask for a handler of `slot`: what nobody can is not remembered.
bool child_proxy_state::declared(const std::string& slot) const {
  return declared_.empty() || declared_.contains(slot);
}

caf::error child_proxy_state::receive_other(message& msg) {
  if (auto* call = std::get_if<request>(&msg))
    return receive_call(*call);
  if (const auto* added = std::get_if<handler_registered>(&msg)) {
    if (!declared(added->slot) || registered_.contains({added->slot, added->param}))
      return {};
    if (auto err = receive_registration(*added))
      return err;
  } else if (const auto* removed = std::get_if<handler_unregistered>(&msg)) {
    if (registered_.erase({removed->slot, removed->param}) == 0)
      return {}; // it had none
    registered_bytes_ -= removed->slot.size() + removed->param.size();
  } else if (auto* list = std::get_if<event_list>(&msg)) {
    std::erase_if(list->ignored, [this](const std::string& slot) { return !declared(slot); });
  } else {
    return make_error(errc::protocol_error, "a message that does not belong on this link");
  }
  if (kept_) {
    kept_->learn(msg);
    send_kept();
  }
  caf::anon_send(router_, node_announcement{process_.node, std::move(msg)});
  return {};
}

caf::error child_proxy_state::receive_registration(const handler_registered& added) {
  registered_.emplace(added.slot, added.param);
  registered_bytes_ += added.slot.size() + added.param.size();
  if (registered_.size() > registrations_max)
    return make_error(errc::protocol_error,
                      "more than " + std::to_string(registrations_max) + " handlers registered at a time");
  if (registered_bytes_ > registration_bytes_max)
    return make_error(errc::protocol_error, "handlers registered at a time whose names have more than " +
                                                std::to_string(registration_bytes_max) + " bytes");
  return {};
}

caf::error child_proxy_state::receive_call(request& call) {
  const auto& options = settings_->options;
  const auto size = call.data.size() + call.slot.size() + call.param.size();
  const auto left = options.buffer_bytes_max - std::min(child_call_bytes_, options.buffer_bytes_max);
  if (child_calls_.size() >= options.child_calls_max || (!child_calls_.empty() && size > left)) {
    const auto buffered = self_->wr_buf(link_).size();
    write(error_message{call.id,
                        {.code = errc::buffer_full,
                         .text = "the master's buffer is full: " + std::to_string(child_calls_.size()) +
                                 " calls with " + std::to_string(child_call_bytes_) +
                                 " bytes from this child are open; slow down, or raise child_calls_max or "
                                 "buffer_bytes_max"}});
    return check_unread(buffered);
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
  const auto buffered = self_->wr_buf(link_).size();
  message reply = error_message{msg.call, {}};
  if (auto* data = std::get_if<bytes>(&msg.result)) {
    reply = response{msg.call, std::move(*data)};
  } else {
    auto& what = std::get<failure>(msg.result);
    cap_texts(what);
    std::get<error_message>(reply).what = std::move(what);
  }
  if (auto err = codec_->write(self_->wr_buf(link_), reply)) {
    auto what = failure_of(err);
    what.text = "the answer does not fit: " + what.text;
    write(error_message{msg.call, std::move(what)});
  }
  self_->flush(link_);
  if (auto err = check_unread(buffered))
    gone(failure_of(err), false, true);
}

/// To be called when something was written because the child asked for it, behind `buffered` bytes. One message does
/// not count as long as nothing waits before it.
/// @returns that the child asks, and does not read.
caf::error child_proxy_state::check_unread(std::size_t buffered) {
  if (buffered == 0)
    unread_bytes_ = 0; // all before it is on its way, or was read
  const auto most = settings_->options.unread_bytes_max;
  const auto was_full = unread_bytes_ > most;
  const auto& out = self_->wr_buf(link_);
  const auto added = out.size() - std::min(buffered, out.size());
  unread_bytes_ += added;
  if (!was_full || added == 0)
    return {};
  return make_error(errc::node_died, "the node was cut off, as it sends calls and does not read their answers: " +
                                         std::to_string(unread_bytes_) +
                                         " bytes wait for it; let its handlers return sooner, or raise "
                                         "unread_bytes_max");
}

void child_proxy_state::tell(const std::vector<message>& messages) {
  for (const auto& msg : messages)
    write(msg);
  self_->flush(link_);
}

void child_proxy_state::lose_link() {
  recover_answers();
  if (!gone_)
    self_->become(link_lost());
}

void child_proxy_state::learn_exit(const exit_status& status) {
  status_ = status;
  self_->become(exited());
}

void child_proxy_state::leave() {
  link_open_ = false;
  // What is written goes out first; then end of file.
  detail::in_next_round(*self_, [self = self_, link = link_] { self->close(link); });
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
