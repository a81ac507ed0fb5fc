#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/dataset.hpp"
#include "incite/options.hpp"
#include "units/unit_map.hpp"

namespace incite {

struct RepairParams {
  RepairMethod method = RepairMethod::least_squares;  ///< mean or least_squares
  /// Weights of staying near the cut weights, relative to the mean square of an input; each layer takes the one with
  /// the least error on a part of the samples that it was not fitted to.
  std::vector<double> ridges = {1e-5, 1e-4, 1e-3, 1e-2};
  double validation = 0.2;         ///< share of the samples that chooses the ridge
  int64_t rows_per_feature = 20;   ///< samples, or positions of a convolution, that a layer is fitted to, ...
  int64_t least_rows = 20'000;     ///< ... at least this many, ...
  int64_t most_rows = 200'000;     ///< ... and at most this many, where there are as many, ...
  double most_products = 2e11;     ///< ... or as many as take so many multiplications, but two for each feature
  int64_t block_bytes = 64 << 20;  ///< patches held at a time
  int64_t memory = 1 << 30;        ///< bytes of activations kept between layers; more are computed anew
  int64_t own_state_passes = 2;    ///< of a recurrent layer over its own states, after one over the original's
  bool head = false;               ///< the head too: where the module keeps the original's
  uint64_t seed = 0;
};

/// Refits the weights of a slice, in closed form: layer by layer from the input on, each layer's remaining weights and
/// bias become those that bring its pre-activations nearest to the original's on `samples` of the data (ridge least
/// squares in float64, from the cut weights). Layers whose input is as in the original, the head unless asked for,
/// grouped convolutions, and layers that share their weights stay as they are. A recurrent layer that lost units reads
/// another input: its own (see RecurrentRepair).
///
/// `module` is slice(program, map, keep) and is changed in place.
void repair(const Program& program, const UnitMap& map, const Selection& keep, const Dataset& data,
            const at::Tensor& samples, const RepairParams& params, Program& module);

}  // namespace incite
