#include <cluster_channel/channels/link_reader.hpp>

#include <utility>

namespace cluster_channel::detail {

namespace {

// What a thread reads is a property of the thread, and `call::get` has no other way to learn it.
thread_local link_reader* current = nullptr;

} // namespace

link_reader* this_thread_reader() noexcept {
  return current;
}

reads_on_this_thread::reads_on_this_thread(link_reader& reader) noexcept : before_{std::exchange(current, &reader)} {
  // nop
}

reads_on_this_thread::~reads_on_this_thread() {
  current = before_;
}

} // namespace cluster_channel::detail
