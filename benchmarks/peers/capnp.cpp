// Cap'n Proto RPC over a Unix domain socket, with its EzRpc.
#include "echo.capnp.h"
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <capnp/ez-rpc.h>
#include <limits>

namespace bench {

namespace {

/// Messages of any size.
capnp::ReaderOptions any_size() {
  capnp::ReaderOptions result;
  result.traversalLimitInWords = std::numeric_limits<std::uint64_t>::max();
  return result;
}

class capnp_echo final : public echo_system {
public:
  explicit capnp_echo(const echo_setup& setup)
      : server_{"Cap'n Proto RPC", setup.message_bytes},
        text_(setup.message_bytes, 'x'),
        client_{server_.address(), 0, any_size()},
        echo_{client_.getMain<capnp_schema::Echo>()} {}

  ~capnp_echo() noexcept override = default;

  void one() override { call().wait(client_.getWaitScope()); }

  /// So many chains share the calls: each has one of them unanswered.
  void many(std::size_t count, std::size_t in_flight) override {
    left_ = count;
    auto chains = kj::heapArrayBuilder<kj::Promise<void>>(std::min(count, in_flight));
    while (!chains.isFull())
      chains.add(chain());
    kj::joinPromises(chains.finish()).wait(client_.getWaitScope());
  }

  void issue(std::size_t count) override {
    auto calls = kj::heapArrayBuilder<kj::Promise<void>>(count);
    for (std::size_t i = 0; i < count; ++i)
      calls.add(call());
    waiting_ = calls.finish();
    client_.getWaitScope().poll(); // sends what the socket takes
  }

  void collect() override { kj::joinPromises(kj::mv(waiting_)).wait(client_.getWaitScope()); }

private:
  kj::Promise<void> call() {
    auto request = echo_.callRequest(capnp::MessageSize{text_.size() / sizeof(capnp::word) + 16, 0});
    request.setText(kj::arrayPtr(reinterpret_cast<const kj::byte*>(text_.data()), text_.size()));
    return request.send().then([size = text_.size()](auto&& answer) {
      if (answer.getText().size() != size)
        throw std::runtime_error("Cap'n Proto: an answer of another size");
    });
  }

  kj::Promise<void> chain() {
    if (left_ == 0)
      return kj::READY_NOW;
    --left_;
    return call().then([this] { return chain(); });
  }

  server_process server_;
  std::string text_;
  capnp::EzRpcClient client_;
  capnp_schema::Echo::Client echo_;
  std::size_t left_ = 0;
  kj::Array<kj::Promise<void>> waiting_;
};

class echo_server final : public capnp_schema::Echo::Server {
public:
  kj::Promise<void> call(CallContext context) override {
    const auto text = context.getParams().getText();
    context.getResults(capnp::MessageSize{text.size() / sizeof(capnp::word) + 16, 0}).setText(text);
    return kj::READY_NOW;
  }
};

int serve(const serve_arguments&) {
  const socket_path path;
  const auto address = "unix:" + path.text();
  capnp::EzRpcServer server{kj::heap<echo_server>(), address, 0, any_size()};
  server.getPort().wait(server.getWaitScope()); // listens from now on
  tell_address(address);
  kj::NEVER_DONE.wait(server.getWaitScope());
}

} // namespace

system_entry capnp_system() {
  return {.name = "Cap'n Proto RPC",
          .can = {.at_once_max = 10'000}, // 100,000 overflow its stack
          .start = [](const echo_setup& setup) { return std::make_unique<capnp_echo>(setup); },
          .serve = serve};
}

} // namespace bench
