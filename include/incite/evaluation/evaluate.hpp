#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/base/progress.hpp"
#include "incite/data/dataset.hpp"
#include "incite/program/program.hpp"
#include "incite/units/output_kind.hpp"

namespace incite {

/// Samples to measure on, and the truth about them.
struct TestSet {
  const Dataset* data = nullptr;
  at::Tensor samples;  ///< [n] int64: which of the data's samples
  at::Tensor classes;  ///< classification: [N] int64 for all samples of the data
  at::Tensor values;   ///< regression: [N, outputs] float32
};

/// One module to measure.
struct ModuleToTest {
  int64_t output = 0;
  const Program* program = nullptr;
  bool own_head = true;  ///< its columns are [others, output], or the one of a regression; else all the original's
};

/// What measuring gave. Accuracies are shares, 0 to 1.
struct Evaluation {
  Task task = Task::classification;
  int64_t samples = 0;  ///< that original and combined were measured on
  double original =
      0;  ///< classification: accuracy of the original; regression: its mean absolute error over the outputs measured
  double combined = 0;  ///< the same of the modules together; NaN for a single classifier
  std::vector<double>
      modules;  ///< each module alone: accuracy in telling its class from the others; or mean absolute error
};

/// Measures modules against the original they were cut from. Classification: the combined class of a sample is that of
/// the module with the largest log-odds; if there are modules for some classes only, samples of the others are left
/// out, and the original chooses among the same classes. Regression: module by module, column by column.
///
/// Throws Error (data_mismatch) if no sample is of a class that has a module.
Evaluation evaluate(const Program& original, const std::vector<ModuleToTest>& modules, OutputKind kind, Task task,
                    const TestSet& test, const Progress& progress = {});

/// The program's outputs for `samples` of the data: [n, outputs] float32 on the CPU.
at::Tensor outputs_for(const Program& program, const Dataset& data, const at::Tensor& samples);

}  // namespace incite
