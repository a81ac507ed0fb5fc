#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "incite/decompose.hpp"
#include "incite/decomposition.hpp"
#include "store/scores_key.hpp"

namespace incite {

/// What changes with an option. Keys are made from this: results are taken over from an earlier run only where all that
/// they depend on is the same.
enum class Affects {
  nothing,  ///< where results go, how a run goes on, what is measured
  modules,  ///< modules, but no scores
  run,      ///< how many samples are scored, or the last bits of sums
  scores,   ///< scores
};

/// What text an option takes.
struct AnyText {};
struct Flag {};
struct Bytes {};  ///< "2GB"
struct OneOf {
  std::vector<std::string> names;
};
struct Number {
  double low = 0, high = 0;
  bool low_allowed = true;
  std::string expected;  ///< "a share above 0 and up to 1"
};
struct Numbers : Number {};  ///< with commas between them
struct Sizes {};             ///< whole numbers with commas between them
using Takes = std::variant<AnyText, Flag, Bytes, OneOf, Number, Numbers, Sizes>;

/// Options as they are in force, and what they settle.
struct Settled {
  const DecomposeOptions& options;
  std::optional<double> input_scale;  ///< unset: 1/255 for inputs of uint8, 1 for the others
  double likely_share = 1;
  int threads = 1;
};

/// An option of decompose: the command line, decomposition.json, the keys of checkpoints and docs/options.md are made
/// from these.
struct Option {
  std::string name = {};   ///< without dashes; with '_' for '-', the setting's name in decomposition.json
  std::string group = {};  ///< in the help
  std::string help = {};
  Takes takes = AnyText{};
  std::string type = {};     ///< what the help calls its value; empty: its names, or none
  std::string initial = {};  ///< what the help shows as the default; empty: nothing
  Affects affects = Affects::nothing;
  /// Reads the option's text. Throws Error (usage).
  void (*set)(DecomposeOptions& options, const std::string& text) = nullptr;
  /// Its value for decomposition.json and keys; null: it has none.
  Setting::second_type (*value)(const Settled& settled) = nullptr;
  std::string unset = {};   ///< what keys write for NaN, and for 0 bytes
  bool of_inspect = false;  ///< inspect takes it too
};

/// All options of decompose but --threads and those of the output (--json, --quiet, --verbose), in the order of the
/// settings.
const std::vector<Option>& decompose_options();

/// The options that these texts, by name, stand for: `given` on the command line, after those of the preset, if one is
/// given. Throws Error (usage) for texts that no option takes, and options that exclude each other.
DecomposeOptions read_options(const std::map<std::string, std::string>& given);

/// "auto", or a number but 0. Throws Error (usage).
std::optional<double> parse_scale(const std::string& text);

/// Every option in force, for decomposition.json. What is not set is NaN.
std::vector<Setting> settings_of(const Settled& settled);

/// The entries of a key: all options that affect scores, or a run, or modules.
ScoresKey key_of(const Settled& settled, Affects what);

/// Adds entries to a key.
void append(ScoresKey& key, const ScoresKey& more);

}  // namespace incite
