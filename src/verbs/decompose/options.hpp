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

/// What changes with an option. Keys are built from this: a result of an earlier run is reused only if everything it
/// depends on is the same.
enum class Affects {
  nothing,  ///< only where results go, how a run continues, or what is measured
  modules,  ///< modules, but not scores
  run,      ///< the number of scored samples, or the last bits of sums
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
struct Words {};             ///< several arguments, joined by spaces
using Takes = std::variant<AnyText, Flag, Bytes, OneOf, Number, Numbers, Sizes, Words>;

/// The options in force, and what follows from them.
struct Settled {
  const DecomposeOptions& options;
  std::optional<double> input_scale;  ///< unset: 1/255 for inputs of uint8, 1 for the others
  double likely_share = 1;
  int threads = 1;
};

/// An option of decompose. The command line, decomposition.json, the keys of checkpoints and docs/options.md are
/// generated from these rows.
struct Option {
  std::string name = {};   ///< without dashes; with '_' for '-', the setting's name in decomposition.json
  std::string group = {};  ///< in the help
  std::string help = {};
  Takes takes = AnyText{};
  std::string type = {};     ///< placeholder for the value in the help; empty: its names, or none
  std::string initial = {};  ///< default shown in the help; empty: none is shown
  Affects affects = Affects::nothing;
  /// Reads the option's text. Throws Error (usage).
  void (*set)(DecomposeOptions& options, const std::string& text) = nullptr;
  /// Its value for decomposition.json and keys; null: it appears in neither.
  Setting::second_type (*value)(const Settled& settled) = nullptr;
  std::string unset = {};   ///< what keys contain for NaN, and for 0 bytes
  bool of_inspect = false;  ///< inspect takes it too
};

/// All options of decompose except --threads, --json, --quiet and --verbose, in the order of the settings in
/// decomposition.json.
const std::vector<Option>& decompose_options();

/// Turns texts, by option name, into options. `given` are those of the command line; they override those of the preset.
/// Throws Error (usage) for texts that an option does not take, and for options that exclude each other.
DecomposeOptions read_options(const std::map<std::string, std::string>& given);

/// Reads "auto" (unset) or a number other than 0. Throws Error (usage) for any other text.
std::optional<double> parse_scale(const std::string& text);

/// Every option in force, for decomposition.json. Unset numbers are NaN.
std::vector<Setting> settings_of(const Settled& settled);

/// The entries of a key: the options that affect `what`.
ScoresKey key_of(const Settled& settled, Affects what);

/// Adds entries to a key.
void append(ScoresKey& key, const ScoresKey& more);

}  // namespace incite
