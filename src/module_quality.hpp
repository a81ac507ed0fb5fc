#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/decomposition.hpp"
#include "module_maker.hpp"

namespace incite {

/// What modules lose against the original on the validation samples, by which a search chooses.
class ModuleLoss {
 public:
  /// Runs the original. `calibrates`: modules are calibrated on these samples too; then each tenth of them is measured
  /// with what the others give.
  ModuleLoss(const ModuleSource& source, const std::vector<int64_t>& outputs, bool calibrates);

  /// Of columns [samples, modules]: points of combined accuracy lost (of one module: of balanced accuracy), or per cent
  /// of mean absolute error gained, and the standard error of that.
  SearchStep operator()(const at::Tensor& columns, double compression) const;

 private:
  at::Tensor answers_lost(const at::Tensor& scores, const at::Tensor& own) const;
  at::Tensor classes_lost(const at::Tensor& columns) const;

  const ModuleSource& source_;
  const std::vector<int64_t> outputs_;
  const bool calibrates_;
  at::Tensor original_;  // [samples, modules] float64: the original's outputs
  at::Tensor
      original_yes_;  // of one module of a classifier, [samples] bool: whether its class is the original's choice
};

}  // namespace incite
