// Lets a thread that reads a link wait for what only that link can bring.
//
// A handler on the thread of child_channel::run() may call a slot of the master's and `get` the answer: nobody but that
// very thread reads answers. So while such a thread waits, it reads.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

namespace cluster_channel::detail {

class link_reader {
public:
  /// Reads the link until `done()`, or until `deadline`. Calls of the far end are kept for later.
  virtual void read_until(const std::function<bool()>& done,
                          std::optional<std::chrono::steady_clock::time_point> deadline) = 0;

  /// What makes `read_until` look at `done()` again, from any thread, even after the reader is gone.
  virtual std::function<void()> waker() = 0;

protected:
  ~link_reader() = default;
};

/// The reader whose link this thread reads; null on all others.
link_reader* this_thread_reader() noexcept;

/// Makes `reader` that of this thread while it lives.
class reads_on_this_thread {
public:
  explicit reads_on_this_thread(link_reader& reader) noexcept;
  reads_on_this_thread(const reads_on_this_thread&) = delete;
  reads_on_this_thread& operator=(const reads_on_this_thread&) = delete;
  ~reads_on_this_thread();

private:
  link_reader* before_;
};

} // namespace cluster_channel::detail
