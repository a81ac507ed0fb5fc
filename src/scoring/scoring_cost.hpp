#pragma once

#include <vector>

#include "data/dataset.hpp"
#include "scoring/clusters.hpp"

namespace incite {

/// Multiply-adds of one sample, by the two ways to score.
struct ScoringCost {
  double mutation = 0;
  double gradient = 0;
};

/// What it would take to score a model whose units are clustered so. `wanted`: outputs that need a column of their own.
/// A backward pass counts as a forward pass, since parameters need no gradients. Runs two samples.
ScoringCost scoring_cost(const Program& program, const UnitMap& map, const ClusterParams& clusters,
                         const std::vector<double>& factors, const std::vector<int64_t>& wanted, const Dataset& data);

}  // namespace incite
