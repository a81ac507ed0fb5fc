#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "scoring/contributions.hpp"
#include "store/scores_key.hpp"

namespace incite {

/// The scores of a finished run, beside its modules.
inline constexpr const char* scores_name = "scores.npz";
/// The scores of an unfinished run.
inline constexpr const char* checkpoint_name = "checkpoint.npz";

/// The entry for the layout of inputs in keys. Files that predate the option lack it: they mean as-stored.
inline constexpr const char* layout_key = "input-layout";

/// The entry for how effects were found. Files that predate the option lack it: their mutants ran.
inline constexpr const char* scoring_key = "scoring";
/// The entry for the outputs that scores from gradients are for: "all", or numbers with commas. Others have a column in
/// common.
inline constexpr const char* scored_outputs_key = "scored-outputs";

/// Scores in a file: an .npz that NumPy can read, with the arrays of the state, the cluster of each unit and a SHA-256
/// of everything.
struct SavedScores {
  ScoresKey made_from;  ///< another run may use the scores if this is the same
  ScoresKey run_with;   ///< another run may continue from the state only if this is the same too
  ScoringState state;
  std::vector<int64_t> unit_clusters;  ///< by unit; -1: no cluster
  std::string layers;                  ///< names, one per line
  at::Tensor channels;                 ///< [channels, 3] int64: unit, layer and channel, for other readers of the file
  int64_t memory = 0;                  ///< memory budget of the run, in bytes
  bool finished = false;               ///< the state lacks its blocks: no run continues from it
  std::string size;                    ///< the size option as the user typed it: "--keep 0.5"
};

/// The bytes of the file.
std::string serialise(const SavedScores& scores);

/// Reads scores. Throws Error (data_file) if the file can't be read or is damaged. `use`: for the advice in the
/// message.
SavedScores read_scores(const std::filesystem::path& file, ScoresUse use);

}  // namespace incite
