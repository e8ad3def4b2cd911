// CAF's own distribution: an actor of another process by its address, over TCP, which is all that CAF 0.17 has.
#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <future>

namespace bench {

namespace {

struct config : caf::actor_system_config {
  config() { load<caf::io::middleman>(); }
};

/// What the actor that calls is asked for: so many messages, with a window; `sent` and `answered` tell how it goes.
struct order {
  std::size_t count = 0;
  std::size_t in_flight = 0;
  std::promise<void> sent;
  std::promise<void> answered;
};

} // namespace

} // namespace bench

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<bench::order>)

namespace bench {

namespace {

struct caller_state {
  std::shared_ptr<order> running;
  std::size_t sent = 0;
  std::size_t answered = 0;
};

/// Sends plain messages rather than requests: CAF keeps those in a flat list, which thousands in flight would pay for.
caf::behavior caller(caf::stateful_actor<caller_state>* self, caf::actor server, std::size_t message_bytes) {
  const std::string text(message_bytes, 'x');
  return {[self, server, text](std::shared_ptr<order>& what) {
            self->state = {what, 0, 0};
            for (; self->state.sent < std::min(what->count, what->in_flight); ++self->state.sent)
              self->send(server, text);
            what->sent.set_value();
          },
          [self, server, text](const std::string&) {
            auto& state = self->state;
            if (state.sent < state.running->count) {
              self->send(server, text);
              ++state.sent;
            }
            if (++state.answered == state.running->count)
              state.running->answered.set_value();
          }};
}

class caf_remote final : public echo_system {
public:
  explicit caf_remote(const echo_setup& setup)
      : server_process_{"CAF remote_actor", setup.message_bytes}, text_(setup.message_bytes, 'x'), system_{config_} {
    const auto port = static_cast<std::uint16_t>(std::stoul(server_process_.address()));
    auto server = system_.middleman().remote_actor("127.0.0.1", port);
    if (!server)
      throw std::runtime_error("CAF: " + system_.render(server.error()));
    server_ = *server;
    caller_ = system_.spawn(caller, server_, setup.message_bytes);
  }

  ~caf_remote() override { caf::anon_send_exit(caller_, caf::exit_reason::user_shutdown); }

  void one() override {
    caf::scoped_actor self{system_};
    bool fits = false;
    self->request(server_, caf::infinite, text_)
        .receive([&](const std::string& answer) { fits = answer.size() == text_.size(); },
                 [&](const caf::error& error) { throw std::runtime_error("CAF: " + system_.render(error)); });
    if (!fits)
      throw std::runtime_error("CAF: an answer of another size");
  }

  void many(std::size_t count, std::size_t in_flight) override {
    begin(count, in_flight);
    collect();
  }

  void issue(std::size_t count) override { begin(count, count); }
  void collect() override { running_->answered.get_future().wait(); }

private:
  void begin(std::size_t count, std::size_t in_flight) {
    running_ = std::make_shared<order>();
    running_->count = count;
    running_->in_flight = in_flight;
    caf::anon_send(caller_, running_);
    running_->sent.get_future().wait();
  }

  server_process server_process_;
  std::string text_;
  config config_;
  caf::actor_system system_;
  caf::actor server_;
  caf::actor caller_;
  std::shared_ptr<order> running_;
};

caf::behavior echo() {
  return {[](std::string& text) { return std::move(text); }};
}

int serve(const serve_arguments&) {
  config options;
  caf::actor_system system{options};
  const auto port = system.middleman().publish(system.spawn(echo), 0, "127.0.0.1");
  if (!port)
    return 1;
  tell_address(std::to_string(*port));
  wait_for_the_master_to_go();
  std::_Exit(0); // the actor would keep the system alive
}

} // namespace

system_entry caf_remote_system() {
  return {.name = "CAF remote_actor",
          .start = [](const echo_setup& setup) { return std::make_unique<caf_remote>(setup); },
          .serve = serve};
}

} // namespace bench
