#include "program/pt2_source.hpp"

#include <memory>
#include <sstream>
#include <vector>

#include "base/fail.hpp"

namespace incite {
namespace {

constexpr size_t longest_path = 4096;

}  // namespace

torch::jit::SourceRange pt2_source(const JsonView& node) {
  const auto metadata = node.find("metadata");
  const auto trace = metadata ? metadata->find("stack_trace") : std::nullopt;
  if (!trace) return {};
  // Python writes calls from the outermost in: 'File "net.py", line 31, in forward'. A trace has them from the
  // innermost out: 'net.py(31): forward'.
  std::string calls;
  std::istringstream lines(trace->text());
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find("File \"");
    const size_t end = line.find("\", line ");
    const size_t comma = end == std::string::npos ? end : line.find(", in ", end);
    if (start == std::string::npos || comma == std::string::npos || end < start) continue;
    calls = fmt::format("{}({}): {}\n", printable(line.substr(start + 6, end - start - 6), longest_path),
                        printable(line.substr(end + 8, comma - end - 8)), printable(line.substr(comma + 5))) +
            calls;
  }
  if (calls.empty()) return {};
  const size_t length = calls.size();
  return {std::make_shared<torch::jit::Source>(std::move(calls)), 0, length};
}

std::string pt2_stack_trace(const std::string& place) {
  const size_t colon = place.rfind(':');
  if (colon == std::string::npos) return "";
  return fmt::format("  File \"{}\", line {}, in forward", place.substr(0, colon), place.substr(colon + 1));
}

}  // namespace incite
