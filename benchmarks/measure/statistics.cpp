#include "measure/statistics.hpp"

#include <algorithm>

namespace bench {

double percentile(std::vector<double>& xs, double share) {
  if (xs.empty())
    return 0;
  const auto at = std::min(xs.size() - 1, static_cast<std::size_t>(share * static_cast<double>(xs.size())));
  const auto place = xs.begin() + static_cast<std::ptrdiff_t>(at);
  std::nth_element(xs.begin(), place, xs.end());
  return *place;
}

double median(std::vector<double> xs) {
  return percentile(xs, 0.5);
}

double seconds(clock_type::duration x) {
  return std::chrono::duration<double>(x).count();
}

double microseconds(clock_type::duration x) {
  return std::chrono::duration<double, std::micro>(x).count();
}

} // namespace bench
