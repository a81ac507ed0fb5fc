#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace incite {

/// Which backward passes a sample takes: one for each output that is wanted, and one for all others together; where
/// outputs have positions, at each of four points.
struct GradientPasses {
  std::vector<int64_t> wanted;  ///< outputs with a column of their own
  at::Tensor others;            ///< float64 [outputs]: 1 for those that have not, else 0
  bool some = false;            ///< there are others
  int64_t points = 1;           ///< of each sample

  /// `asked`: outputs that are wanted; empty: all. `positions`: those at which outputs are compared; 0: they have none.
  GradientPasses(const std::vector<int64_t>& asked, int64_t outputs, int64_t positions);

  int64_t at_point() const { return static_cast<int64_t>(wanted.size()) + (some ? 1 : 0); }
  int64_t count() const { return at_point() * points; }
};

}  // namespace incite
