// The one slot of hash_files.
#pragma once

#include <cluster_channel/channels/slot.hpp>

#include <boost/describe.hpp>

#include <string>
#include <vector>

namespace hash_files {

/// A few files at once, so that small files do not cost a round trip each.
struct batch {
  std::vector<std::string> paths;
};
BOOST_DESCRIBE_STRUCT(batch, (), (paths))

struct file_hash {
  std::string sha256;     ///< 64 lower-case hexadecimal digits; empty if the file could not be read
  std::string error;      ///< why not
  std::uint64_t size = 0; ///< bytes read
};
BOOST_DESCRIBE_STRUCT(file_hash, (), (sha256, error, size))

struct events {
  /// One result a path, in the order of the paths.
  cluster_channel::slot<batch, std::vector<file_hash>> hash;
};
BOOST_DESCRIBE_STRUCT(events, (), (hash))

/// Registers the handler of `hash`.
void serve_hash(events& bus);

} // namespace hash_files
