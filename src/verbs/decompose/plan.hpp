#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/decompose.hpp"
#include "incite/decomposition.hpp"
#include "store/scores_key.hpp"
#include "subject/subject.hpp"

namespace incite {

/// Everything that is settled before the first mutant runs.
struct Plan {
  DecomposeOptions options;  ///< as given, but with the task, metric, outputs and device that "auto" stands for
  SourceFile model, data;
  std::optional<SourceFile> test;
  Metric metric = Metric::probability;
  double likely_share = 1;  ///< of a group's clusters, that modules keep or nearly
  int64_t memory = 0;       ///< bytes that activations may take
  int threads = 1;
  std::vector<Setting> settings;  ///< for decomposition.json
  ScoresKey scores_key;           ///< what scores depend on, however they are used
  ScoresKey run_key;              ///< what else a run has in common with one that goes on from its scores
  std::string modules_key;        ///< all that modules depend on, but for what they keep and their output
};

/// Settles every option. `memory`: bytes that an earlier run planned with, whose scores are gone on with; 0: there is
/// none. Throws Error (usage) for a metric that is not for the task.
Plan settle(const DecomposeOptions& options, const Subject& subject, int64_t memory);

/// The size that modules are to have, as the command line has it: "--keep 0.5".
std::string size_text(const Size& size);

/// Throws Error (usage) for values out of their ranges.
void check_options(const DecomposeOptions& options);

}  // namespace incite
