#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "incite/scoring/clusters.hpp"

namespace incite {

/// The best ceil(keep * clusters) of a group's clusters for each output; equal ones in their order. `scores` is
/// [..., clusters, outputs] float64; the result is bool, of the same shape.
at::Tensor best_clusters(const at::Tensor& scores, double keep);

/// The paper's policy: of each group's clusters, the ceil(keep * clusters) that contribute most to `output` stay; equal
/// ones in their order. Pinned units stay, and so does the best cluster of a layer that would be left empty. `scores`
/// is [clusters, outputs] float64 (Contributions::scores). Throws Error (usage) unless 0 < keep <= 1.
Selection select(const UnitMap& map, const std::vector<Cluster>& clusters, const at::Tensor& scores, int64_t output,
                 double keep);

}  // namespace incite
