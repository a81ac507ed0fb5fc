#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "base/batch.hpp"
#include "scoring/gradient_target.hpp"

namespace incite {

/// The outputs that no module is for, in one number: a selection compares what a cluster does for a module's outputs
/// with what it does for all, and a pass for each of a thousand others would be dear.
///
/// Their sum with random signs, each divided by how much it varies: as a cluster's effects on single outputs add up to
/// the root of their squares, the sum is about as large as one of them.
class OtherOutputs {
 public:
  /// `others` [outputs] float64: 1 for them, else 0. `rows` has a target's rows [n, outputs] of some samples.
  OtherOutputs(const at::Tensor& others, const GradientTarget& target, const at::Tensor& rows);

  /// The sum [samples] of rows [samples, outputs]. `seeds`: one for each sample's signs.
  at::Tensor operator()(const at::Tensor& rows, const std::vector<uint64_t>& seeds) const;

 private:
  const GradientTarget& target_;
  at::Tensor weights_;  // float32 [outputs]
};

}  // namespace incite
