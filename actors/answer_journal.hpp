// What a child has answered and not sent yet, where the master finds it should the child die before it sends it.
//
// A child that answers many calls sends their answers together, which is several times as fast. Until then they are in
// memory that it shares with the master: a crash in the next handler loses none of them. One writer (the child), one
// reader (the master), which reads when the child's link has ended. The child may be hostile: the reader copies, and
// trusts nothing but the size, which is sealed.
#pragma once

#include <cluster_channel/actors/detail/unique_fd.hpp>
#include <cluster_channel/serialization/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace cluster_channel {

/// Room for answers, in bytes: what is more is sent at once.
inline constexpr std::size_t journal_bytes = std::size_t{64} << 10;

/// The master's end.
class journal_reader {
public:
  /// Without memory, like one that was never shared.
  journal_reader() = default;

  /// New memory; without any if the system has none left.
  static journal_reader make() noexcept;

  /// To be given to the child; -1: there is none.
  int fd() const noexcept { return fd_.get(); }

  /// What follows the `received` first bytes that the child ever sent.
  bytes rest(std::uint64_t received) const;

private:
  detail::unique_fd fd_;
};

/// The child's end.
class journal_writer {
public:
  /// Takes the memory `fd`, which it owns from then on; stays without any if it is not what a reader makes.
  /// @param sent how much was sent on the link before.
  journal_writer(int fd, std::uint64_t sent) noexcept;

  journal_writer(const journal_writer&) = delete;
  journal_writer& operator=(const journal_writer&) = delete;
  ~journal_writer();

  explicit operator bool() const noexcept { return memory_ != nullptr; }

  /// Notes bytes that are to be sent. @returns false if there is no room, and then notes nothing.
  bool note(std::span<const char> data) noexcept;

  /// `count` more bytes were sent, those that were noted among them.
  void sent(std::size_t count) noexcept;

private:
  struct shared;
  shared* memory_ = nullptr;
  std::uint64_t sent_; // since the link began
};

} // namespace cluster_channel
