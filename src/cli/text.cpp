#include "cli/text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "cli/progress_bar.hpp"

namespace incite::cli {
namespace {

/// The width of a line in columns: continuation bytes of UTF-8 have none.
size_t columns(std::string_view text) {
  size_t count = 0;
  for (const char c : text)
    count += (static_cast<unsigned char>(c) & 0xc0U) != 0x80 ? 1 : 0;
  return count;
}

std::string wrapped_line(std::string_view line, size_t width, size_t indent) {
  std::string result, current;
  while (columns(line) + columns(current) > width) {
    // Break at the last blank that fits, but not inside the indentation.
    const size_t start = line.find_first_not_of(' ');
    size_t end = std::string_view::npos;
    for (size_t blank = line.find(' ', start); blank != std::string_view::npos; blank = line.find(' ', blank + 1)) {
      if (end != std::string_view::npos && columns(line.substr(0, blank)) + columns(current) > width) break;
      end = blank;
    }
    if (end == std::string_view::npos) break;
    result += current + std::string(line.substr(0, end)) + "\n";
    line.remove_prefix(std::min(line.find_first_not_of(' ', end), line.size()));
    current.assign(indent, ' ');
  }
  return result + current + std::string(line);
}

}  // namespace

std::string wrapped(const std::string& text, size_t width, size_t indent) {
  if (width == 0) return text;
  std::string result;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    result += wrapped_line(rest.substr(0, end), width, indent);
    if (end == std::string_view::npos) break;
    result += '\n';
    rest.remove_prefix(end + 1);
  }
  return result;
}

size_t columns_of(int descriptor) {
  if (const char* text = std::getenv("COLUMNS")) {
    const std::string_view digits = text;
    size_t columns = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), columns);
    if (error == std::errc() && end == digits.data() + digits.size() && columns > 0) return columns;
  }
  return static_cast<size_t>(terminal_width(descriptor));
}

}  // namespace incite::cli
