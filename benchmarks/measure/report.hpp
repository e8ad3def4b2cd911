// What was measured: as a table on stdout while it goes, and as JSON at the end.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// What one turn of one system in one case says. What it does not measure is left out.
struct sample {
  std::optional<double> calls_per_s{};
  std::optional<double> p50_us{};
  std::optional<double> p99_us{};
  std::optional<double> bytes_per_s{}; ///< one way
  std::optional<double> rss_bytes{};
  std::map<std::string, double> more{}; ///< by the name of its key in the JSON
  std::string mode{};                   ///< where both ends ran: "free", "one core", "apart"
};

/// Medians of the samples of all rounds.
struct row {
  std::string case_name{};
  std::string system{};
  sample medians{};
  std::optional<double> ratio_to_limit{}; ///< 1: as fast as the limit; the median of the ratios of the rounds
  std::size_t rounds = 0;
};

class report {
public:
  explicit report(std::map<std::string, std::string> settings) : settings_{std::move(settings)} {}

  /// Prints the rows of one case as a table, and keeps them.
  void add(const std::vector<row>& rows);

  /// Prints it once; `why`: not installed, or what failed.
  void skip(const std::string& system, const std::string& why);

  void write_json(const std::string& file) const;

  bool has_failures() const noexcept { return failures_ > 0; }
  void count_failure() noexcept { ++failures_; }

private:
  std::map<std::string, std::string> settings_;
  std::vector<row> rows_;
  std::map<std::string, std::string> skipped_;
  std::size_t failures_ = 0;
};

/// CPU, number of CPUs, memory and kernel.
std::map<std::string, std::string> machine();

} // namespace bench
