// What master and children say to each other: the master calls slots of the children, and they call two of its own.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <cstdint>

namespace progress {

/// Numbers from `first` up to, but without, `last`.
struct range {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
BOOST_DESCRIBE_STRUCT(range, (), (first, last))

struct events {
  // Handled by the children.
  cluster_channel::slot<range, std::uint64_t> count_primes;
  cluster_channel::slot<std::uint64_t, int> report_every; ///< so many numbers; answered with the process id

  // Handled by the master.
  cluster_channel::slot<int> started;           ///< a child with this process id serves
  cluster_channel::slot<std::uint64_t> checked; ///< so many numbers more of a running call are done
};
BOOST_DESCRIBE_STRUCT(events, (), (count_primes, report_every, started, checked))

} // namespace progress
