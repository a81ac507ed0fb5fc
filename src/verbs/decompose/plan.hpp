#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/decompose.hpp"
#include "incite/decomposition.hpp"
#include "store/scores_key.hpp"
#include "subject/subject.hpp"
#include "verbs/decompose/choose_scoring.hpp"

namespace incite {

/// Everything that is decided before the first mutant runs.
struct Plan {
  DecomposeOptions options;  ///< as given, with "auto" replaced by the actual task, metric, outputs and device
  SourceFile model, data;
  std::optional<SourceFile> test;
  Metric metric = Metric::probability;
  ScoringChoice scoring;
  double likely_share = 1;  ///< of a group's clusters that modules will keep, roughly
  int64_t memory = 0;       ///< bytes available to activations
  int threads = 1;
  std::vector<Setting> settings;  ///< for decomposition.json
  ScoresKey scores_key;           ///< what scores depend on in every use
  ScoresKey run_key;              ///< what else must be the same in a run that continues from the scores
  std::string modules_key;        ///< everything that a module depends on, except its selection and output
};

/// What a run takes over from an earlier one whose scores it uses.
struct Earlier {
  int64_t memory = 0;              ///< budget in bytes of the run that this one continues; 0: it continues none
  std::optional<Scoring> scoring;  ///< unset: it scores
};

/// Settles every option. Throws Error (usage) for a metric of the other task, or one that gradients can't estimate.
Plan settle(const DecomposeOptions& options, const Subject& subject, const Earlier& earlier);

/// The size as an option of the command line: "--keep 0.5".
std::string size_text(const Size& size);

/// Throws Error (usage) for values out of their ranges.
void check_options(const DecomposeOptions& options);

}  // namespace incite
