// All systems that are compared. A peer whose package CMake did not find is named as missing.
#pragma once

#include "systems/echo_system.hpp"
#include <vector>

namespace bench {

system_entry raw_blocking_system();
system_entry raw_batched_system();
system_entry raw_spin_system();
std::vector<system_entry> cluster_channel_systems();
system_entry zeromq_system();
system_entry grpc_system();
system_entry capnp_system();
system_entry caf_remote_system();
system_entry nng_system();
std::vector<system_entry> script_systems();

/// Limits first, then ours, then peers.
std::vector<system_entry> all_systems();

} // namespace bench
