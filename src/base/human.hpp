#pragma once

#include <cstdint>
#include <string>

namespace incite {

// Numbers as people read them.

/// A number of bytes, "41.3 KiB".
std::string human_bytes(int64_t bytes);
/// A whole number with thousands separated, "44,426".
std::string human_count(int64_t count);
/// A share, "12.34 %"; "-" if it is not defined.
std::string human_percent(double share);
/// A factor, "2.69x", "1,234.50x".
std::string human_ratio(double value);

}  // namespace incite
