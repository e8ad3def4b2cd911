#include "walk.hpp"

#include <algorithm>
#include <filesystem>

namespace hash_files {

namespace fs = std::filesystem;

namespace {

void walk_directory(const fs::path& top, walk_result& out) {
  std::error_code ec;
  fs::directory_iterator entries{top, ec};
  if (ec) {
    out.errors.push_back({top.string(), ec.message()});
    return;
  }
  for (; entries != fs::directory_iterator{}; entries.increment(ec)) {
    std::error_code entry_ec;
    const auto status = entries->symlink_status(entry_ec);
    if (fs::is_directory(status))
      walk_directory(entries->path(), out);
    else if (fs::is_regular_file(status))
      out.files.push_back(entries->path().string());
  }
  if (ec)
    out.errors.push_back({top.string(), ec.message()});
}

} // namespace

walk_result walk(const std::vector<std::string>& paths) {
  walk_result result;
  for (const auto& path : paths) {
    std::error_code ec;
    if (!fs::is_directory(path, ec)) {
      result.files.push_back(path); // whatever is wrong with it, opening it tells
      continue;
    }
    const auto first = static_cast<std::ptrdiff_t>(result.files.size());
    walk_directory(path, result);
    std::sort(result.files.begin() + first, result.files.end());
  }
  return result;
}

} // namespace hash_files
