#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace incite {

// Numbers as people read them.

/// A number of bytes, "41.3 KiB".
std::string human_bytes(int64_t bytes);
/// A whole number with thousands separated, "44,426".
std::string human_count(int64_t count);
/// A share, "12.34 %"; "-" if it is not defined.
std::string human_percent(double share);
/// Numbers with what they are: "class 3", "classes 1, 2 and 5"; of many, the first: "classes 0, 1, 2 and 9 more".
std::string human_list(const std::vector<int64_t>& numbers, const std::string& one, const std::string& several);
/// A factor, "2.69x", "1,234.50x".
std::string human_ratio(double value);

}  // namespace incite
