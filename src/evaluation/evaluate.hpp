#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/dataset.hpp"
#include "evaluation/measures.hpp"
#include "incite/progress.hpp"
#include "program/program.hpp"
#include "units/output_kind.hpp"

namespace incite {

// Evaluation has two steps: programs are run over a test set, one at a time, each for its column of a matrix; and
// measures are taken of the matrices alone. So no more than one program need be in memory.

/// Samples to measure on, and the truth about them.
struct TestSet {
  const Dataset* data = nullptr;
  at::Tensor samples;  ///< [n] int64: which of the data's samples
  /// Classification: [points] int64 for all points of the data, see Dataset::points; -1: not labelled.
  at::Tensor classes;
  /// Regression: [points, outputs] float32; multilabel: the same, 1 for a label that holds, else 0.
  at::Tensor values;

  /// The classes, or values, of the samples' points.
  at::Tensor own_classes() const { return classes.index_select(0, data->points(samples)); }
  at::Tensor own_values() const { return values.index_select(0, data->points(samples)); }
};

/// Points of the set that each output has: of its class, or with its label: [outputs] int64.
at::Tensor support(const TestSet& set, int64_t outputs);

/// Rows of outputs and their classes without those that are not labelled, whose class is below 0.
std::pair<at::Tensor, at::Tensor> labelled(const at::Tensor& outputs, const at::Tensor& classes);

/// One module to measure.
struct ModuleToTest {
  const OutputSet& set;
  const Program* program = nullptr;
  bool own_head = true;  ///< its outputs are those of a fitted head; else all the original's
};

/// The program's outputs for the points of `samples` of the data: [points, outputs] float32 on the CPU. Runs in
/// batches, after each of which `progress` is told the samples done.
at::Tensor outputs_for(const Program& program, const Dataset& data, const at::Tensor& samples,
                       const Progress& progress = {});

/// The columns of a module from its outputs: [n, set] float64, the log-odds of its classes (see log_odds); for
/// regression its values. `kind` is that of the original's outputs.
at::Tensor columns_of(const at::Tensor& outputs, const ModuleToTest& module, OutputKind kind, Task task);

/// What a module says of the test set's points: [points, set] float64 on the CPU, see columns_of. Progress as
/// outputs_for.
at::Tensor module_scores(const ModuleToTest& module, OutputKind kind, Task task, const TestSet& test,
                         const Progress& progress = {});

/// Measures modules against the original they were cut from. `original` [n, all outputs] as outputs_for gives them;
/// `modules` [n, columns] as module_scores gives them, those of one set after another; rows are the test set's points,
/// of which those without a label do not count.
/// Pure; time and memory are linear in n · columns.
///
/// Classification: the combined class of a sample is that of the largest column, its probabilities the softmax of them
/// all; if there are columns for some classes only, samples of the others are left out, and the original chooses among
/// the same classes. Multilabel and regression: column by column.
///
/// Where no sample is of a class that has a column, `samples` is 0 and what needs such samples is undefined.
Evaluation evaluate(const at::Tensor& original, const at::Tensor& modules, const std::vector<OutputSet>& sets,
                    OutputKind kind, Task task, const TestSet& test);

/// Measures a model by itself: `outputs` [n, outputs] as outputs_for gives them, of a kind.
ModelMeasures measure(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& test);

}  // namespace incite
