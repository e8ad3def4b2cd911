// A progress bar on stderr; silent unless that is a terminal. For one thread at a time.
//
// Written here because no C++ progress-bar library is packaged for Debian.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <utility>

namespace examples {

class progress_bar {
public:
  /// @param unit what is counted, in the plural.
  progress_bar(std::size_t total, std::string unit)
      : total_{total}, unit_{std::move(unit)}, shown_{::isatty(STDERR_FILENO) == 1 && total > 0} {}
  progress_bar(const progress_bar&) = delete;
  progress_bar& operator=(const progress_bar&) = delete;
  ~progress_bar() { clear(); }

  void set(std::size_t done) {
    const auto percent = total_ == 0 ? 100 : 100 * done / total_;
    if (!shown_ || percent == percent_)
      return;
    percent_ = percent;
    const auto filled = width * done / total_;
    const auto bar = std::string(filled, '#') + std::string(width - filled, '.');
    std::fprintf(stderr, "\r[%s] %3zu%% %zu/%zu %s", bar.c_str(), percent, done, total_, unit_.c_str());
    std::fflush(stderr);
  }

  /// Takes the bar off the screen.
  void clear() {
    if (shown_ && percent_ <= 100)
      std::fputs("\r\033[K", stderr);
    percent_ = none;
  }

private:
  static constexpr std::size_t width = 40;
  static constexpr std::size_t none = 101;
  std::size_t total_;
  std::string unit_;
  std::size_t percent_ = none;
  bool shown_;
};

} // namespace examples
