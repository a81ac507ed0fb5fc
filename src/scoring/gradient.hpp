#pragma once

#include <string>

#include "scoring/contributions.hpp"

namespace incite {

/// Why the effects of mutants can't be estimated from gradients, as the end of a sentence; empty: they can. Runs two
/// samples.
std::string obstacle_to_gradients(const Program& program, const UnitMap& map, OutputKind kind, const Dataset& data,
                                  Metric metric);

/// As `score`, but estimates the effects of mutants from gradients: one backward pass for each of
/// `ScoringParams::outputs`, in place of a forward pass for each mutant.
///
/// What a mutant changes at the frontier (scoring/frontier.hpp) is known exactly; from there on the network counts as
/// linear, up to the logits: a probability's change follows from those of all logits, or, where not all outputs are
/// wanted or they are many, from that of its log-odds. All other outputs have one column together, from one pass
/// (scoring/other_outputs.hpp). Where outputs have positions, four are drawn for each sample.
Contributions score_by_gradients(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters,
                                 OutputKind kind, const Dataset& data, const at::Tensor& order,
                                 const ScoringParams& params, const Progress& progress);

}  // namespace incite
