#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "units/unit_map.hpp"

namespace incite {

/// Jaccard index of each pair of modules, over the kept (layer, unit) pairs of all layers but the head: [modules,
/// modules] float64, CPU.
at::Tensor overlap_matrix(const UnitMap& map, const std::vector<Selection>& selections);

/// Mean of the matrix over pairs of different modules, the paper's overlap; 1 for a single module.
double mean_overlap(const at::Tensor& matrix);

}  // namespace incite
