#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace incite {

/// The name, in the output folder, of a module that is made but for what depends on the others; `key` is a hash of all
/// that it depends on.
std::string module_checkpoint_name(const std::string& key);

/// What a run that was stopped has left in a folder: its scores, and modules.
std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder);

/// Removes all of that.
void remove_checkpoints(const std::filesystem::path& folder);

/// Whether a folder holds what a run that was stopped has left: scores, and modules.
bool has_checkpoint(const std::filesystem::path& folder);

/// How many bytes of files that is.
int64_t checkpoint_bytes(const std::filesystem::path& folder);

}  // namespace incite
