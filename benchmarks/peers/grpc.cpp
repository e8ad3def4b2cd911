// gRPC's asynchronous API in C++ over a Unix domain socket: completion queues at both ends.
#include "echo.grpc.pb.h"
#include "systems/server_process.hpp"
#include "systems/systems.hpp"
#include <grpcpp/grpcpp.h>

namespace bench {

namespace {

using grpc_schema::Echo;
using grpc_schema::Text;

class grpc_echo final : public echo_system {
public:
  explicit grpc_echo(const echo_setup& setup) : server_{"gRPC C++ async", setup.message_bytes} {
    request_.set_text(std::string(setup.message_bytes, 'x'));
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1); // any size
    arguments.SetMaxSendMessageSize(-1);
    stub_ = Echo::NewStub(grpc::CreateCustomChannel(server_.address(), grpc::InsecureChannelCredentials(), arguments));
  }

  ~grpc_echo() override {
    queue_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);)
      ;
  }

  void one() override {
    send();
    receive();
  }

  void many(std::size_t count, std::size_t in_flight) override {
    std::size_t sent = 0;
    for (std::size_t received = 0; received < count; ++received) {
      for (; sent < count && sent - received < in_flight; ++sent)
        send();
      receive();
    }
  }

  void issue(std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i)
      send();
    waiting_ += count;
  }

  void collect() override {
    for (; waiting_ > 0; --waiting_)
      receive();
  }

private:
  struct open_call {
    grpc::ClientContext context;
    Text answer;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Text>> reader;
  };

  void send() {
    auto* call = new open_call; // until it is the tag of a completion
    call->context.set_wait_for_ready(true);
    call->reader = stub_->AsyncCall(&call->context, request_, &queue_);
    call->reader->Finish(&call->answer, &call->status, call);
  }

  void receive() {
    void* tag = nullptr;
    bool ok = false;
    if (!queue_.Next(&tag, &ok))
      throw std::runtime_error("gRPC: the queue ended");
    const std::unique_ptr<open_call> call{static_cast<open_call*>(tag)};
    if (!call->status.ok())
      throw std::runtime_error("gRPC: " + call->status.error_message());
    if (call->answer.text().size() != request_.text().size())
      throw std::runtime_error("gRPC: an answer of another size");
  }

  server_process server_;
  Text request_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<Echo::Stub> stub_;
  std::size_t waiting_ = 0;
};

/// A call at the server: waits for one, answers it, ends.
class served_call {
public:
  served_call(Echo::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_{service}, queue_{queue}, answer_{&context_} {
    service_.RequestCall(&context_, &request_, &answer_, &queue_, &queue_, this);
  }

  void go_on(bool ok) {
    if (!ok || is_answered_) {
      delete this;
      return;
    }
    new served_call{service_, queue_}; // owned by the queue, as its tag
    is_answered_ = true;
    answer_.Finish(request_, grpc::Status::OK, this);
  }

private:
  Echo::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  Text request_;
  grpc::ServerAsyncResponseWriter<Text> answer_;
  bool is_answered_ = false;
};

int serve(const serve_arguments&) {
  const socket_path path;
  const auto address = "unix:" + path.text();
  Echo::AsyncService service;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto queue = builder.AddCompletionQueue();
  const auto server = builder.BuildAndStart();
  if (!server)
    return 1;
  new served_call{service, *queue};
  tell_address(address);
  void* tag = nullptr;
  for (bool ok = false; queue->Next(&tag, &ok);)
    static_cast<served_call*>(tag)->go_on(ok);
  return 0;
}

} // namespace

system_entry grpc_system() {
  return {.name = "gRPC C++ async",
          .can = {.at_once_max = 100'000},
          .start = [](const echo_setup& setup) { return std::make_unique<grpc_echo>(setup); },
          .serve = serve};
}

} // namespace bench
