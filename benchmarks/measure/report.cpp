#include "measure/report.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <set>
#include <stdexcept>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <thread>

namespace bench {

namespace {

namespace json = boost::json;

json::value number_or_null(const std::optional<double>& x) {
  return x ? json::value(*x) : json::value(nullptr);
}

json::object json_of(const std::map<std::string, std::string>& texts) {
  json::object result;
  for (const auto& [key, value] : texts)
    result[key] = value;
  return result;
}

json::object json_of(const row& x) {
  json::object result{{"case", x.case_name},
                      {"system", x.system},
                      {"calls_per_s", number_or_null(x.medians.calls_per_s)},
                      {"p50_us", number_or_null(x.medians.p50_us)},
                      {"p99_us", number_or_null(x.medians.p99_us)},
                      {"bytes_per_s", number_or_null(x.medians.bytes_per_s)},
                      {"rss_bytes", number_or_null(x.medians.rss_bytes)},
                      {"ratio_to_limit", number_or_null(x.ratio_to_limit)},
                      {"mode", x.medians.mode},
                      {"rounds", x.rounds}};
  for (const auto& [key, value] : x.medians.more)
    result[key] = value;
  return result;
}

/// Four digits, as few as help.
std::string text_of(double x) {
  char text[32];
  const auto size = std::fabs(x);
  const int decimals = size >= 1000 || size == std::floor(size) ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  std::snprintf(text, sizeof text, "%.*f", decimals, x);
  return text;
}

std::string text_of(const std::optional<double>& x) {
  return x ? text_of(*x) : "";
}

using table = std::vector<std::vector<std::string>>;

/// Columns that are empty in all rows are left out; the first two are texts, the others numbers.
void print(const table& lines) {
  const auto columns = lines.front().size();
  for (const auto& line : lines) {
    for (std::size_t column = 0; column < columns; ++column) {
      std::size_t width = 0;
      bool is_empty = true;
      for (std::size_t i = 0; i < lines.size(); ++i) {
        width = std::max(width, lines[i][column].size());
        is_empty = is_empty && (i == 0 || lines[i][column].empty());
      }
      if (!is_empty)
        std::printf(column < 2 ? "%-*s  " : "%*s  ", static_cast<int>(width), line[column].c_str());
    }
    std::printf("\n");
  }
}

} // namespace

void report::add(const std::vector<row>& rows) {
  if (rows.empty())
    return;
  std::set<std::string> more;
  for (const auto& each : rows)
    for (const auto& [key, value] : each.medians.more)
      more.insert(key);
  table lines{{"system", "mode", "calls/s", "p50 us", "p99 us", "bytes/s", "RSS bytes"}};
  lines.front().insert(lines.front().end(), more.begin(), more.end());
  lines.front().push_back("ratio to limit");
  for (const auto& each : rows) {
    const auto& x = each.medians;
    std::vector<std::string> line{each.system,
                                  x.mode,
                                  text_of(x.calls_per_s),
                                  text_of(x.p50_us),
                                  text_of(x.p99_us),
                                  text_of(x.bytes_per_s),
                                  text_of(x.rss_bytes)};
    for (const auto& key : more) {
      const auto found = x.more.find(key);
      line.push_back(found == x.more.end() ? "" : text_of(found->second));
    }
    line.push_back(text_of(each.ratio_to_limit));
    lines.push_back(std::move(line));
  }
  std::printf("\n%s, median of %zu\n", rows.front().case_name.c_str(), rows.front().rounds);
  print(lines);
  std::fflush(stdout);
  rows_.insert(rows_.end(), rows.begin(), rows.end());
}

void report::skip(const std::string& system, const std::string& why) {
  if (skipped_.emplace(system, why).second)
    std::printf("skipped: %s: %s\n", system.c_str(), why.c_str());
  std::fflush(stdout);
}

void report::write_json(const std::string& file) const {
  json::array rows;
  for (const auto& each : rows_)
    rows.push_back(json_of(each));
  const json::object all{{"machine", json_of(machine())},
                         {"settings", json_of(settings_)},
                         {"skipped", json_of(skipped_)},
                         {"rows", std::move(rows)}};
  std::ofstream out{file};
  out << json::serialize(all) << '\n';
  if (!out.flush())
    throw std::runtime_error("cannot write " + file);
}

std::map<std::string, std::string> machine() {
  std::map<std::string, std::string> result;
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line) && !result.count("cpu");)
    if (line.starts_with("model name"))
      result["cpu"] = line.substr(line.find(':') + 2);
  result["cpus"] = std::to_string(std::thread::hardware_concurrency());
  struct sysinfo info {};
  if (::sysinfo(&info) == 0)
    result["memory_bytes"] = std::to_string(info.totalram * info.mem_unit);
  utsname system{};
  if (::uname(&system) == 0)
    result["kernel"] = std::string{system.sysname} + ' ' + system.release;
  return result;
}

} // namespace bench
