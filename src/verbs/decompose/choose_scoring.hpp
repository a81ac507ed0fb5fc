#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/decompose.hpp"
#include "subject/subject.hpp"

namespace incite {

/// How the effects of mutants are found, and why so.
struct ScoringChoice {
  Scoring scoring = Scoring::mutation;
  std::string reason;      ///< the end of a sentence; empty: there was no choice
  bool fell_back = false;  ///< gradients were asked for, and can't be had
};

/// The outputs that some module is for, ascending.
std::vector<int64_t> wanted_outputs(const Subject& subject);
/// The same for keys: "all", or numbers with commas.
std::string scored_outputs_text(const Subject& subject);

/// Chooses what the options leave open: as in the scores of an earlier run, if it uses those. Else mutants run
/// unless they take over `dear` times the multiply-adds of gradients, and over `cheap` for 1,000 samples, about a
/// second of a core, as counted for clusters of equal size. Where gradients can't be had, mutants run. Throws Error
/// (usage) if gradients are asked for a metric that they can't estimate. `options`: with their task and metric.
ScoringChoice choose_scoring(const DecomposeOptions& options, const Subject& subject, std::optional<Scoring> earlier);

inline constexpr double dear = 5;
inline constexpr double cheap = 1e10;

}  // namespace incite
