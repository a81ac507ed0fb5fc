#pragma once

#include <ATen/core/Tensor.h>

#include "incite/decomposition.hpp"
#include "verbs/decompose/module.hpp"

namespace incite {

/// What modules lose against the original on the validation samples, by which a search chooses.
class ModuleLoss {
 public:
  /// Runs the original.
  explicit ModuleLoss(const Workshop& workshop);

  /// Of columns [samples, modules]: points of combined accuracy lost (of one module: of balanced accuracy), or per cent
  /// of mean absolute error gained, and the standard error of that. Where modules are calibrated on these samples too,
  /// each tenth of them is measured with the calibration that the others give.
  SearchStep operator()(const at::Tensor& columns, double compression) const;

 private:
  at::Tensor answers_lost(const at::Tensor& scores, const at::Tensor& own) const;
  at::Tensor classes_lost(const at::Tensor& columns) const;

  const Subject& subject_;
  const bool calibrates_;
  at::Tensor original_;      // [samples, modules] float64: the original's outputs
  at::Tensor original_yes_;  // one module of a classifier: [samples] bool, whether the original chooses its class
};

}  // namespace incite
