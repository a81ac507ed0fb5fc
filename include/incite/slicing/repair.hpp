#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/data/dataset.hpp"
#include "incite/units/unit_map.hpp"

namespace incite {

enum class RepairMethod { none, least_squares };
const char* to_string(RepairMethod method);

struct RepairParams {
  double ridge = 1e-5;             ///< weight of staying near the cut weights, relative to the mean square of an input
  int64_t most_rows = 200'000;     ///< samples, or positions of a convolution, that a layer is fitted to
  int64_t block_bytes = 64 << 20;  ///< patches held at a time
  bool head = false;               ///< the head too: where the module keeps the original's
  uint64_t seed = 0;
};

/// What repairing did to one layer.
struct LayerRepair {
  int32_t layer = -1;
  double before = 0;  ///< mean square of (module's pre-activations - original's) over the original's variance
  double after = 0;
};

/// Refits the weights of a slice, in closed form: layer by layer from the input on, each layer's remaining weights and
/// bias become those that bring its pre-activations nearest to the original's on `samples` of the data (ridge least
/// squares in float64, from the cut weights). Layers whose input is as in the original, the head unless asked for,
/// grouped and transposed convolutions, and layers that share their weights stay as they are.
///
/// `module` is slice(program, map, keep) and is changed in place. Returns what was done, in the order of the layers.
std::vector<LayerRepair> repair(const Program& program, const UnitMap& map, const Selection& keep, const Dataset& data,
                                const at::Tensor& samples, const RepairParams& params, Program& module);

}  // namespace incite
