#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace incite {

/// The name, in the output folder, of the checkpoint of a module before all modules are fitted together. `key`: a hash
/// of everything that this module depends on.
std::string module_checkpoint_name(const std::string& key);

/// The checkpoints of a run that was stopped: its scores, and the modules so far.
std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder);

/// Removes these checkpoints.
void remove_checkpoints(const std::filesystem::path& folder);

/// Whether a folder holds such checkpoints.
bool has_checkpoint(const std::filesystem::path& folder);

/// Their total size in bytes.
int64_t checkpoint_bytes(const std::filesystem::path& folder);

}  // namespace incite
