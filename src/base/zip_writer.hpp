#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace incite {

/// A member to write. The bytes must live until to_zip returns.
struct ZipContent {
  std::string name;
  std::string_view bytes;
  bool deflate = false;
};

/// A ZIP archive with these members, in this order. The same members give the same bytes: all are of 1980-01-01.
std::string to_zip(const std::vector<ZipContent>& members);

}  // namespace incite
