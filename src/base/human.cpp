#include "base/human.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace incite {

std::string human_bytes(int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const double kibibytes = static_cast<double>(bytes) / 1024;
  return kibibytes < 1024 ? fmt::format("{:.1f} KiB", kibibytes) : fmt::format("{:.1f} MiB", kibibytes / 1024);
}

std::string human_count(int64_t count) {
  std::string digits = std::to_string(count);
  for (auto place = static_cast<int64_t>(digits.size()) - 3; place > (count < 0 ? 1 : 0); place -= 3) {
    digits.insert(static_cast<size_t>(place), ",");
  }
  return digits;
}

std::string human_percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.2f} %", 100 * share) : "-";
}

std::string human_ratio(double value) {
  const std::string text = fmt::format("{:.2f}x", value);
  return value < 1000 ? text : human_count(static_cast<int64_t>(value)) + text.substr(text.find('.'));
}

std::string human_list(const std::vector<int64_t>& numbers, const std::string& one, const std::string& several) {
  constexpr size_t most = 10, shown = 3;
  if (numbers.size() == 1) return fmt::format("{} {}", one, numbers[0]);
  const size_t front = numbers.size() > most ? shown : numbers.size() - 1;
  const auto first = numbers.begin();
  const std::string last = numbers.size() > most
                               ? fmt::format("{} more", human_count(static_cast<int64_t>(numbers.size() - front)))
                               : fmt::format("{}", numbers.back());
  return fmt::format("{} {} and {}", several, fmt::join(first, first + static_cast<std::ptrdiff_t>(front), ", "), last);
}

}  // namespace incite
