#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/decomposition.hpp"
#include "incite/slicing/calibration.hpp"
#include "module_maker.hpp"

namespace incite {

/// The number of the module of each sample's class, int64; -1 where there is none.
at::Tensor modules_of(const TestSet& truth, const at::Tensor& samples, const std::vector<int64_t>& outputs);

/// Calibrations from what modules say of `samples`: columns [samples, modules]. Where a module's class has no
/// sample, none is calibrated.
std::vector<Calibration> calibrate_together(const at::Tensor& columns, const TestSet& truth, const at::Tensor& samples,
                                            const std::vector<int64_t>& outputs);

/// What modules lose against the original on the validation samples, by which a search chooses.
class ModuleLoss {
 public:
  /// Runs the original. `calibrates`: modules are calibrated on these samples too; then each half of them is measured
  /// with what the other gives.
  ModuleLoss(const ModuleSource& source, const std::vector<int64_t>& outputs, bool calibrates);

  /// Of columns [samples, modules]: points of combined accuracy lost, or per cent of mean absolute error gained, and
  /// the standard error of that.
  SearchStep operator()(const at::Tensor& columns, double compression) const;

 private:
  at::Tensor classes_lost(const at::Tensor& columns) const;

  const ModuleSource& source_;
  const std::vector<int64_t> outputs_;
  const bool calibrates_;
  at::Tensor original_;  // [samples, modules] float64: the original's outputs
};

}  // namespace incite
