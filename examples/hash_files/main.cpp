// hash_files [--nodes N] PATH…: prints what sha256sum prints, hashing in child processes.
//
// The program is its own child. A child that dies (of a broken disk driver, say) fails the files of one batch, which
// are reported like unreadable ones.

#include <cluster_channel/channels/child_channel.hpp>
#include <cluster_channel/channels/event_bus.hpp>
#include <cluster_channel/channels/master_channel.hpp>

#include <CLI/CLI.hpp>

#include "../progress_bar.hpp"
#include "events.hpp"
#include "walk.hpp"
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using hash_files::batch;
using hash_files::file_hash;

/// Files of one call. Small enough to keep all nodes busy to the end, large enough to make calls rare.
constexpr std::size_t files_per_call = 16;

/// As sha256sum writes a name: with a leading backslash on the line if backslash, newline or carriage return in it had
/// to be escaped.
void print_line(const std::string& sha256, std::string_view path) {
  std::string escaped;
  for (const char c : path) {
    switch (c) {
    case '\\':
      escaped += "\\\\";
      break;
    case '\n':
      escaped += "\\n";
      break;
    case '\r':
      escaped += "\\r";
      break;
    default:
      escaped += c;
    }
  }
  std::cout << (escaped.size() == path.size() ? "" : "\\") << sha256 << "  " << escaped << '\n';
}

struct totals {
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  bool failed = false;

  void complain(std::string_view path, std::string_view reason) {
    failed = true;
    std::cerr << "hash_files: " << path << ": " << reason << '\n';
  }
};

void report(const batch& request, const caf::expected<std::vector<file_hash>>& hashes, totals& sum) {
  for (std::size_t i = 0; i < request.paths.size(); ++i) {
    const auto& path = request.paths[i];
    if (!hashes) {
      sum.complain(path, cluster_channel::describe(hashes.error()));
    } else if (i >= hashes->size()) {
      sum.complain(path, "the child sent no hash");
    } else if (const auto& one = (*hashes)[i]; !one.error.empty()) {
      sum.complain(path, one.error);
    } else {
      print_line(one.sha256, path);
      ++sum.files;
      sum.bytes += one.size;
    }
  }
}

totals hash_all(const std::vector<std::string>& paths, std::size_t nodes) {
  totals sum;
  const auto found = hash_files::walk(paths);
  for (const auto& [path, reason] : found.errors)
    sum.complain(path, reason);

  cluster_channel::master_channel channel{{.executable = cluster_channel::this_executable(),
                                           .nodes = nodes,
                                           .timeout = cluster_channel::no_timeout}}; // files may be large
  const cluster_channel::event_bus<hash_files::events> bus{channel};
  examples::progress_bar progress{found.files.size(), "files"};

  // All calls at once: the channel keeps them in order and hands them to the nodes as these get free.
  std::vector<std::pair<batch, cluster_channel::call<std::vector<file_hash>>>> calls;
  for (std::size_t i = 0; i < found.files.size(); i += files_per_call) {
    const auto last = std::min(i + files_per_call, found.files.size());
    batch request;
    request.paths.assign(found.files.begin() + static_cast<std::ptrdiff_t>(i),
                         found.files.begin() + static_cast<std::ptrdiff_t>(last));
    auto call = bus.hash(request);
    calls.emplace_back(std::move(request), std::move(call));
  }
  std::size_t done = 0;
  for (auto& [request, call] : calls) {
    const auto hashes = call.get();
    progress.clear();
    report(request, hashes, sum);
    progress.set(done += request.paths.size());
  }
  return sum;
}

} // namespace

int main(int argc, char** argv) {
  if (cluster_channel::is_child())
    return cluster_channel::serve<hash_files::events>(hash_files::serve_hash);

  CLI::App app{"Prints the SHA-256 of files, and of all files in directories, as sha256sum does."};
  std::size_t nodes = 0;
  bool summary = false;
  std::vector<std::string> paths;
  app.add_option("--nodes", nodes, "at most this many child processes (default: the number of CPUs)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--summary", summary, "print the number of files, bytes and seconds on stderr");
  app.add_option("path", paths, "files and directories")->required();
  CLI11_PARSE(app, argc, argv);

  std::ios::sync_with_stdio(false);
  try {
    const auto start = std::chrono::steady_clock::now();
    const auto sum = hash_all(paths, nodes);
    std::cout.flush();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (summary)
      std::cerr << sum.files << " files, " << sum.bytes << " bytes, " << seconds.count() << " seconds\n";
    return sum.failed || !std::cout ? 1 : 0;
  } catch (const std::exception& ex) {
    std::cerr << "hash_files: " << ex.what() << '\n';
    return 1;
  }
}
