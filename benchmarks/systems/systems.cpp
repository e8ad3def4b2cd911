#include "systems/systems.hpp"

namespace bench {

namespace {

[[maybe_unused]] system_entry missing(const char* name, const char* package) {
  return {.name = name, .missing = std::string{"built without it: "} + package};
}

} // namespace

std::vector<system_entry> all_systems() {
  std::vector<system_entry> result{raw_blocking_system(), raw_batched_system(), raw_spin_system()};
  const auto add = [&](std::vector<system_entry> xs) {
    for (auto& each : xs)
      result.push_back(std::move(each));
  };
  add(cluster_channel_systems());
#ifdef BENCH_ZEROMQ
  add({zeromq_system()});
#else
  add({missing("ZeroMQ DEALER", "libzmq3-dev")});
#endif
#ifdef BENCH_GRPC
  add({grpc_system()});
#else
  add({missing("gRPC C++ async", "libgrpc++-dev, protobuf-compiler-grpc")});
#endif
#ifdef BENCH_CAPNP
  add({capnp_system()});
#else
  add({missing("Cap'n Proto RPC", "libcapnp-dev, capnproto")});
#endif
#ifdef BENCH_NNG
  add({nng_system()});
#else
  add({missing("nng", "libnng-dev")});
#endif
  add({caf_remote_system()});
  add(script_systems());
  return result;
}

} // namespace bench
