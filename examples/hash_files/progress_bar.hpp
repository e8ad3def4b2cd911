// A progress bar on stderr; silent unless that is a terminal.
//
// Written here because no C++ progress-bar library is packaged for Debian.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <unistd.h>

namespace hash_files {

class progress_bar {
public:
  explicit progress_bar(std::size_t total) : total_{total}, shown_{::isatty(STDERR_FILENO) == 1 && total > 0} {}
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
    std::fprintf(stderr, "\r[%s] %3zu%% %zu/%zu files", bar.c_str(), percent, done, total_);
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
  std::size_t percent_ = none;
  bool shown_;
};

} // namespace hash_files
