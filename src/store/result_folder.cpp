#include "store/result_folder.hpp"

#include <algorithm>
#include <cctype>

#include "base/fail.hpp"
#include "store/document.hpp"
#include "store/scores_file.hpp"

namespace incite {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Files of the result that is already in a folder, except its document; empty if there is none.
std::vector<std::string> earlier_files(const std::filesystem::path& folder) {
  std::vector<std::string> files;
  if (!std::filesystem::exists(folder / document_name)) return files;
  try {
    const Decomposition earlier = read_decomposition(folder / document_name);
    for (const ModuleResult& module : earlier.modules)
      files.push_back(module.file);
    if (earlier.scores_bytes) files.emplace_back(scores_name);
  } catch (const Error&) {
    files.clear();  // a damaged document is replaced; no other file is known to belong to the result
  }
  return files;
}

}  // namespace

std::string module_file(const OutputSet& set, FileFormat format) {
  const char* const ending = format == FileFormat::pt2 ? "pt2" : "pt";
  constexpr size_t longest = 60;  // bytes of a name
  if (!set.name.empty() || set.names.empty()) return fmt::format("module-{}.{}", set.label(), ending);
  std::string name = set.names.front();
  for (char& c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) == 0 && c != '-' && c != '.') c = '_';
  }
  if (name.size() > longest) {
    size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0U) == 0x80)  // not inside a character
      --end;
    name.resize(end);
  }
  return fmt::format("module-{}-{}.{}", set.label(), name, ending);
}

ResultFolder::ResultFolder(std::filesystem::path folder, RunInputs inputs, std::vector<std::string> files)
    : folder_(std::move(folder)),
      inputs_(std::move(inputs)),
      earlier_(earlier_files(folder_)),
      files_(std::move(files)) {}

void ResultFolder::check_targets(bool force) const {
  for (const std::string& name : files_) {
    const std::filesystem::path file = folder_ / name;
    std::error_code error;
    if (!std::filesystem::exists(file)) continue;
    if (std::filesystem::equivalent(file, inputs_.model, error)) {
      fail(ExitCode::output, "{}: the result would replace the model itself; pass another --out", file.string());
    }
    if (!std::filesystem::is_regular_file(file)) {
      fail(ExitCode::output, "{}: not a regular file, so the result can't replace it; pass another --out",
           file.string());
    }
    if (!contains(earlier_, name) && !force) {
      fail(ExitCode::output,
           "{}: already exists and is not part of an earlier result; pass --force to replace it, or another --out",
           file.string());
    }
  }
}

void ResultFolder::remove_stale() const {
  for (const std::string& name : earlier_) {
    const std::filesystem::path file = folder_ / name;
    std::error_code error;
    const bool input = std::filesystem::equivalent(file, inputs_.model, error) ||
                       std::filesystem::equivalent(file, inputs_.scores, error);
    if (!input && !contains(files_, name)) std::filesystem::remove(file, error);
  }
}

}  // namespace incite
