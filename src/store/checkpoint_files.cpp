#include "store/checkpoint_files.hpp"

#include "store/scores_file.hpp"

namespace incite {
namespace {

constexpr const char* prefix = "checkpoint-module-";
constexpr const char* suffix = ".pt";

}  // namespace

std::string module_checkpoint_name(const std::string& key) {
  return prefix + key.substr(0, 32) + suffix;
}

std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name == checkpoint_name || (name.starts_with(prefix) && name.ends_with(suffix))) found.push_back(entry.path());
  }
  return found;
}

void remove_checkpoints(const std::filesystem::path& folder) {
  std::error_code error;
  for (const std::filesystem::path& file : checkpoints_in(folder))
    std::filesystem::remove(file, error);
}

bool has_checkpoint(const std::filesystem::path& folder) {
  return !checkpoints_in(folder).empty();
}

int64_t checkpoint_bytes(const std::filesystem::path& folder) {
  std::uintmax_t bytes = 0;
  for (const std::filesystem::path& file : checkpoints_in(folder)) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(file, error);
    if (!error) bytes += size;
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace incite
