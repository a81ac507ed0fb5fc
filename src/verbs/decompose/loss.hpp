#pragma once

#include <ATen/core/Tensor.h>

#include "incite/decomposition.hpp"
#include "verbs/decompose/module.hpp"

namespace incite {

/// The loss of modules against the original on the validation samples, for the search.
class ModuleLoss {
 public:
  /// Runs the original on the validation samples.
  explicit ModuleLoss(const Workshop& workshop);

  /// The loss of columns [points, columns], with its standard error, that of a mean over samples: points of combined
  /// accuracy (for a single module, of balanced accuracy), of mean average precision, or per cent of mean absolute
  /// error gained. If modules are calibrated, which uses the same samples, each tenth is measured with a calibration
  /// from the other nine.
  SearchStep operator()(const at::Tensor& columns, double compression) const;

 private:
  at::Tensor answers_lost(const at::Tensor& scores, const at::Tensor& own) const;
  at::Tensor classes_lost(const at::Tensor& columns) const;
  SearchStep precision_lost(const at::Tensor& columns, const at::Tensor& truth, double compression) const;

  const Subject& subject_;
  const bool calibrates_;
  at::Tensor original_;      // [points, columns] float64: the original's outputs
  at::Tensor original_yes_;  // one module of a classifier: [points] bool, whether the original chooses its class
};

}  // namespace incite
