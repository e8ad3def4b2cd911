#include <cluster_channel/actors/answer_journal.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace cluster_channel {

namespace {

struct heading {
  std::uint64_t begin = 0; // bytes that the child had sent before the first that is noted
  std::uint64_t size = 0;  // of what is noted
};

constexpr std::size_t whole = sizeof(heading) + journal_bytes;

} // namespace

struct journal_writer::shared {
  std::atomic<std::uint64_t> begin;
  std::atomic<std::uint64_t> size;
  std::array<char, journal_bytes> data;
};

// -- the master's end ---------------------------------------------------------

journal_reader journal_reader::make() noexcept {
  journal_reader result;
  detail::unique_fd fd{::memfd_create("cluster_channel answers", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (fd.get() >= 0 && ::ftruncate(fd.get(), static_cast<off_t>(whole)) == 0 &&
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
    result.fd_ = std::move(fd);
  return result;
}

bytes journal_reader::rest(std::uint64_t received) const {
  heading what;
  if (fd_.get() < 0 || ::pread(fd_.get(), &what, sizeof what, 0) != static_cast<ssize_t>(sizeof what))
    return {};
  if (what.size > journal_bytes || received < what.begin || received - what.begin >= what.size)
    return {};
  const auto skipped = received - what.begin;
  bytes result(what.size - skipped);
  const auto n = ::pread(fd_.get(), result.data(), result.size(), static_cast<off_t>(sizeof what + skipped));
  return n == static_cast<ssize_t>(result.size()) ? result : bytes{};
}

// -- the child's end ----------------------------------------------------------

journal_writer::journal_writer(int fd, std::uint64_t sent) noexcept : sent_{sent} {
  static_assert(sizeof(shared) == whole && std::atomic<std::uint64_t>::is_always_lock_free);
  const detail::unique_fd owned{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0 || info.st_size != static_cast<off_t>(whole))
    return;
  auto* memory = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED)
    return;
  memory_ = static_cast<shared*>(memory);
  memory_->begin.store(sent_, std::memory_order_release);
}

journal_writer::~journal_writer() {
  if (memory_)
    ::munmap(memory_, whole);
}

bool journal_writer::note(std::span<const char> data) noexcept {
  if (!memory_)
    return false;
  const auto size = memory_->size.load(std::memory_order_relaxed);
  if (data.size() > journal_bytes - size)
    return false;
  std::memcpy(memory_->data.data() + size, data.data(), data.size());
  memory_->size.store(size + data.size(), std::memory_order_release); // whoever kills this process: all of it is there
  return true;
}

void journal_writer::sent(std::size_t count) noexcept {
  sent_ += count;
  if (!memory_)
    return;
  memory_->size.store(0, std::memory_order_release);
  memory_->begin.store(sent_, std::memory_order_release);
}

} // namespace cluster_channel
