#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "evaluation/evaluate.hpp"
#include "subject/analysed_model.hpp"

namespace incite {

// What decompose refuses and inspect reports; evaluate refuses some of it too.

/// The task of a model with so many outputs: as asked for, else inferred from the targets, else from the kind of
/// outputs; where these have positions and no known kind, a regression to the model's own values. Throws Error
/// (data_mismatch) if it can't be inferred, if the targets fit no task, or for a multilabel task of outputs that are
/// not of labels.
Task choose_task(const std::optional<Task>& asked, const Dataset& data, OutputKind kind, int64_t outputs);

/// Analyses a program by running it on two samples of the data.
AnalysedModel analysed(Program program, const Dataset& data);

/// Whether a model is a binary classifier with one output, which is then treated as two.
bool is_one_column(Task task, int64_t outputs);

/// The same function with two outputs: see with_two_columns. Throws Error (unsupported) if that is impossible.
AnalysedModel as_two_columns(const std::filesystem::path& model, const Program& program, const Dataset& data);

/// Throws Error (unsupported) if no unit of the model can be removed.
void check_model(const std::filesystem::path& model, const UnitMap& map);

/// Splits the samples of a data set: `fit` keeps the rest, and the returned set has the `share` that is held out. Both
/// have the truth about all samples. Throws Error (data_mismatch) if there are too few samples.
TestSet hold_out(TestSet& fit, Task task, double share, uint64_t seed);

/// A seeded order of a data set's samples, stratified by class or by the rarest label: [n] int64.
at::Tensor sample_order(const TestSet& set, Task task, uint64_t seed);

/// Throws Error (data_mismatch) if a module lacks samples of a class of its set, or of other classes; or samples with a
/// label of its set, or without it.
void check_classes(const TestSet& fit, const std::vector<OutputSet>& modules, int64_t outputs);

}  // namespace incite
