#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "scoring/contributions.hpp"
#include "store/scores_key.hpp"

namespace incite {

/// A finished run's scores, beside its modules.
inline constexpr const char* scores_name = "scores.npz";
/// An unfinished run's.
inline constexpr const char* checkpoint_name = "checkpoint.npz";

/// The name under which keys say the layout of inputs; files of before there was the option are of as-stored.
inline constexpr const char* layout_key = "input-layout";

/// Scores as they are kept in a file: an .npz that numpy reads too, with the state's arrays, the cluster of each unit
/// and a SHA-256 of all of it.
struct SavedScores {
  ScoresKey made_from;  ///< another run may use the scores if these are the same
  ScoresKey run_with;   ///< another run goes on from the state only if these are the same too
  ScoringState state;
  std::vector<int64_t> unit_clusters;  ///< by unit; -1: in none
  std::string layers;                  ///< their names, a line each
  at::Tensor channels;                 ///< [channels, 3] int64: unit, layer and channel, for whoever reads the file
  int64_t memory = 0;                  ///< bytes that the run planned with
  bool finished = false;               ///< its state's blocks are left out: nothing goes on from it
  std::string size;                    ///< what modules were to be, as the user typed it: "--keep 0.5"
};

std::string serialise(const SavedScores& scores);

/// Reads scores. Throws Error (data_file) for a file that can't be read or is damaged.
SavedScores read_scores(const std::filesystem::path& file, ScoresUse use);

}  // namespace incite
