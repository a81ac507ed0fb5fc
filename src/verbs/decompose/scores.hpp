#pragma once

#include <optional>
#include <vector>

#include "base/stopwatch.hpp"
#include "incite/progress.hpp"
#include "scoring/clusters.hpp"
#include "scoring/contributions.hpp"
#include "store/files.hpp"
#include "store/scores_file.hpp"
#include "subject/subject.hpp"
#include "verbs/decompose/plan.hpp"

namespace incite {

/// Clusters, and what each contributes to each output.
struct Scores {
  std::vector<Cluster> clusters;
  Contributions contributions;
};

/// What a run that was stopped has left in the output folder; nullopt where `options` do not resume, or it left
/// nothing.
std::optional<SavedScores> scores_to_resume(const DecomposeOptions& options);

/// Clusters units and scores them, or goes on with `saved`, or takes the scores that the options name. Puts a
/// checkpoint into the folder after each round. Adds the stages "clustering" and "scoring" to `watch`. Throws Error:
/// usage where the scores are of other options, and what `score` and read_scores throw.
Scores scores_for(const Plan& plan, const Subject& subject, const std::optional<SavedScores>& saved, StagedFiles& files,
                  Stopwatch& watch, const Progress& progress);

/// Scores as they are kept in a file. `finished`: for other runs to take; else for this one to go on from.
SavedScores to_save(const Plan& plan, const Subject& subject, const std::vector<Cluster>& clusters,
                    const ScoringState& state, bool finished);

}  // namespace incite
