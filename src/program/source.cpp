#include "program/source.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <vector>

#include "base/fail.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

struct Place {
  std::filesystem::path file;
  std::string line;
};

/// The places in a trace's record, innermost first: Python's stack, a line "FILE(LINE): FUNCTION" for each call.
std::vector<Place> places_of_trace(const std::string& stack) {
  std::vector<Place> places;
  for (size_t start = 0; start < stack.size();) {
    const size_t end = std::min(stack.find('\n', start), stack.size());
    const std::string call = stack.substr(start, end - start);
    const size_t close = call.rfind("): ");
    const size_t open = close == std::string::npos ? std::string::npos : call.rfind('(', close);
    const bool number = open != std::string::npos && open + 1 < close &&
                        std::all_of(call.begin() + static_cast<std::ptrdiff_t>(open) + 1,
                                    call.begin() + static_cast<std::ptrdiff_t>(close),
                                    [](unsigned char c) { return std::isdigit(c) != 0; });
    if (number && call.find(".py(") != std::string::npos)
      places.push_back({call.substr(0, open), call.substr(open + 1, close - open - 1)});
    start = end + 1;
  }
  return places;
}

/// Places of a range, innermost first, in the user's own source where the model's file tells it.
std::vector<Place> places_of(jit::SourceRange range) {
  if (const auto original = range.findSourceRangeThatGenerated()) range = *original;
  if (range.source() != nullptr) {
    const std::vector<Place> trace = places_of_trace(std::string(range.source()->text_str().str()));
    if (!trace.empty()) return trace;
  }
  const auto place = range.file_line_col();
  if (!place || std::get<0>(*place).empty()) return {};
  return {{std::get<0>(*place), std::to_string(std::get<1>(*place))}};
}

/// Whether a file is PyTorch's own: a user looks for the line that called it.
bool is_library(const std::filesystem::path& file) {
  const std::string path = "/" + file.generic_string();
  return path.find("/torch/nn/") != std::string::npos || path.find("/torch/functional.py") != std::string::npos ||
         path.find("/torch/_") != std::string::npos;
}

/// The innermost place that is not PyTorch's own, where there is one.
std::string named(const std::vector<Place>& places) {
  if (places.empty()) return "an unknown line";
  const auto users =
      std::find_if(places.begin(), places.end(), [](const Place& place) { return !is_library(place.file); });
  const Place& place = users == places.end() ? places.front() : *users;
  return fmt::format("{}:{}", place.file.filename().string(), place.line);
}

}  // namespace

std::string source_of(const jit::Node* node) {
  std::vector<Place> places = places_of(node->sourceRange());  // innermost first
  if (const auto& calls = node->callstack()) {
    const auto frames = (*calls)->vec();  // from the outermost call in
    for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
      const std::vector<Place> more = places_of(std::get<1>(*frame));
      places.insert(places.end(), more.begin(), more.end());
    }
  }
  return named(places);
}

std::string source_of(const jit::SourceRange& range) {
  return named(places_of(range));
}

}  // namespace incite
