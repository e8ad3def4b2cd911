// What the child does, apart from where it runs: a test gives it a local bus.
#pragma once

#include "events.hpp"

namespace hello {

inline void with_master(events& master) {
  master.foo.on([](const foo_request& request) { return foo_response{request.bar * 2}; });
}

} // namespace hello
