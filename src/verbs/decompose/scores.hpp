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

/// Clusters, and their contributions to each output.
struct Scores {
  std::vector<Cluster> clusters;
  Contributions contributions;
};

/// The scores that a stopped run left in the output folder; nullopt without --resume, or if there are none. Throws what
/// read_scores throws.
std::optional<SavedScores> scores_to_resume(const DecomposeOptions& options);

/// How the scores were found that a run is to use in place of its own; unset if it is to score. Throws what read_scores
/// throws.
std::optional<Scoring> scoring_of_earlier(const DecomposeOptions& options);

/// Clusters and scores units, or continues from `saved`, or reads the file that the options name. Writes a checkpoint
/// after each round. Adds the stages "clustering" and "scoring" to `watch`. Throws Error (usage) if the scores were
/// made with other options, and what `score` and read_scores throw.
Scores scores_for(const Plan& plan, const Subject& subject, const std::optional<SavedScores>& saved, StagedFiles& files,
                  Stopwatch& watch, const Progress& progress);

/// Scores for a file. `finished`: for --scores of other runs; else a checkpoint of this one.
SavedScores to_save(const Plan& plan, const Subject& subject, const std::vector<Cluster>& clusters,
                    const ScoringState& state, bool finished);

}  // namespace incite
