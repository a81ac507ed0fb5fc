#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/base/progress.hpp"
#include "incite/data/dataset.hpp"
#include "incite/evaluation/measures.hpp"
#include "incite/program/program.hpp"
#include "incite/units/output_kind.hpp"

namespace incite {

// Evaluation has two steps: programs are run over a test set, one at a time, each for its column of a matrix; and
// measures are taken of the matrices alone. So no more than one program need be in memory.

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

/// The program's outputs for `samples` of the data: [n, outputs] float32 on the CPU. Runs in batches, after each of
/// which `progress` is told the samples done.
at::Tensor outputs_for(const Program& program, const Dataset& data, const at::Tensor& samples,
                       const Progress& progress = {});

/// What a module says of the test set's samples: [n] float64 on the CPU, its log-odds for its class; for regression its
/// values. `kind` is that of the original's outputs. Progress as outputs_for.
at::Tensor module_scores(const ModuleToTest& module, OutputKind kind, Task task, const TestSet& test,
                         const Progress& progress = {});

/// What measuring gave.
struct Evaluation {
  Task task = Task::classification;
  int64_t samples = 0;     ///< that original and combined were measured on
  ModelMeasures original;  ///< of the outputs that have modules, in their order; of the others nothing
  ModelMeasures combined;  ///< of the modules together, in their order; all undefined for a single classifier
  std::vector<ClassMeasures> modules;  ///< classification: each module alone, at its own threshold, log-odds of 0, on
                                       ///< all samples of the test set
  double agreement = undefined;  ///< classification: share of the samples that original and modules put in one class
  /// Classification: the original at each module's question, yes where the class's output is the largest of all its
  /// outputs; on all samples of the test set.
  std::vector<ClassMeasures> originals;
  int64_t test_samples = 0;  ///< of the test set; more than `samples` where some classes have no module

  /// A module's accuracy, or mean absolute error.
  double score(size_t module) const {
    return task == Task::classification ? modules[module].accuracy : combined.errors[module].mae;
  }
  /// What tables show of a module first, and of the original beside it: balanced accuracy, or mean absolute error.
  double headline(size_t module) const {
    return task == Task::classification ? modules[module].balanced_accuracy : combined.errors[module].mae;
  }
  double original_headline(size_t module) const {
    return task == Task::classification ? originals[module].balanced_accuracy : original.errors[module].mae;
  }
};

/// Measures modules against the original they were cut from. `original` [n, all outputs] as outputs_for gives them;
/// `modules` [n, modules], columns as module_scores gives them, of the outputs `outputs`; rows are the test set's
/// samples. Pure; time and memory are linear in n · modules.
///
/// Classification: the combined class of a sample is that of the module with the largest log-odds, its probabilities
/// the softmax of them all; if there are modules for some classes only, samples of the others are left out, and the
/// original chooses among the same classes. Regression: module by module, column by column.
///
/// Throws Error (data_mismatch) if no sample is of a class that has a module.
Evaluation evaluate(const at::Tensor& original, const at::Tensor& modules, const std::vector<int64_t>& outputs,
                    OutputKind kind, Task task, const TestSet& test);

/// Measures a model by itself: `outputs` [n, outputs] as outputs_for gives them, of a kind.
ModelMeasures measure(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& test);

}  // namespace incite
