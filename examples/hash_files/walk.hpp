// Which files to hash, in which order.
#pragma once

#include <string>
#include <vector>

namespace hash_files {

struct walk_error {
  std::string path;
  std::string reason;
};

struct walk_result {
  std::vector<std::string> files;
  std::vector<walk_error> errors;
};

/// The files named by `paths` in the order given; a directory stands for the regular files below it, sorted by byte
/// order of their paths. Symbolic links are followed where they are named, not where they are found in a directory.
walk_result walk(const std::vector<std::string>& paths);

} // namespace hash_files
