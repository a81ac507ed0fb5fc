#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace incite {

/// What scores depend on, by name: "model", a file's SHA-256; "metric"; …
using ScoresKey = std::vector<std::pair<std::string, std::string>>;

/// The value of an entry; empty if there is none.
std::string value_of(const ScoresKey& key, const std::string& name);

/// How a run uses the scores of another.
enum class ScoresUse {
  resume,  ///< to continue from them (--resume)
  take,    ///< to use them instead of scoring (--scores)
};
/// What the user can do without them, for messages.
std::string anew(ScoresUse use);

/// A key with the size option as the user typed it: "--keep 0.5".
struct KeyedOptions {
  ScoresKey key;
  std::string size;
};

/// The scores that a run uses, and its model and data, for messages.
struct ScoresRequest {
  ScoresUse use;
  std::filesystem::path file;
  std::filesystem::path model, data;
};

/// Throws Error (usage) if scores with the key `found` do not match `wanted`. The message names the first difference,
/// as options on the command line, and what to do.
void check_same(const ScoresRequest& request, const KeyedOptions& found, const KeyedOptions& wanted);

}  // namespace incite
