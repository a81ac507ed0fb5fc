#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace incite {

/// What scores depend on, by name: "model", a file's SHA-256; "metric"; …
using ScoresKey = std::vector<std::pair<std::string, std::string>>;

/// What a run wants with the scores of another.
enum class ScoresUse {
  resume,  ///< to go on from them (--resume)
  take,    ///< to take them in place of scoring (--scores)
};
/// How the user does without them.
std::string anew(ScoresUse use);

/// A key, with the size that modules are to have as the user typed it: "--keep 0.5".
struct KeyedOptions {
  ScoresKey key;
  std::string size;
};

/// Which scores a run wants, and what it works on: for messages.
struct ScoresRequest {
  ScoresUse use;
  std::filesystem::path file;
  std::filesystem::path model, data;
};

/// Throws Error (usage) where the scores were not made from what `wanted` says. The message names the first difference
/// as the user types it, and what to do.
void check_same(const ScoresRequest& request, const KeyedOptions& found, const KeyedOptions& wanted);

}  // namespace incite
