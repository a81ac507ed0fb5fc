#include "source.hpp"

#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "incite/base/error.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

/// File and line of a range, in the user's own source where the model's file tells it.
std::optional<std::pair<std::filesystem::path, size_t>> place_of(jit::SourceRange range) {
  if (const auto original = range.findSourceRangeThatGenerated()) range = *original;
  const auto place = range.file_line_col();
  if (!place) return std::nullopt;
  return std::pair(std::filesystem::path(std::get<0>(*place)), std::get<1>(*place));
}

/// Whether a file is PyTorch's own: a user looks for the line that called it.
bool is_library(const std::filesystem::path& file) {
  const std::string path = "/" + file.generic_string();
  return path.find("/torch/nn/") != std::string::npos || path.find("/torch/functional.py") != std::string::npos ||
         path.find("/torch/_") != std::string::npos;
}

}  // namespace

std::string source_of(const jit::Node* node) {
  std::vector<jit::SourceRange> ranges = {node->sourceRange()};
  if (const auto& calls = node->callstack()) {
    const auto frames = (*calls)->vec();  // from the outermost call in
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame)
      ranges.push_back(std::get<1>(*frame));
  }
  std::string source = "an unknown line";
  bool users = false;
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
    const auto place = place_of(*range);
    if (!place) continue;
    // The innermost line of the user's; the innermost of the library's only where there is none.
    if (is_library(place->first) && users) continue;
    users = !is_library(place->first);
    source = fmt::format("{}:{}", place->first.filename().string(), place->second);
  }
  return source;
}

}  // namespace incite
