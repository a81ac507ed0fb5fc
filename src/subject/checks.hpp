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

// What decompose refuses, and inspect says that it would; some of it evaluate refuses too.

/// What a model of so many outputs does: as asked, or told from the target or the kind of outputs. Throws Error
/// (data_mismatch) if nothing tells, or the target is of neither task.
Task choose_task(const std::optional<Task>& asked, const Dataset& data, OutputKind kind, int64_t outputs);

/// Analyses a program by running it on two samples of the data.
AnalysedModel analysed(Program program, const Dataset& data);

/// Whether a model is a classifier of two classes with one output, which is then taken as two.
bool is_one_column(Task task, int64_t outputs);

/// The same function with two outputs, see with_two_columns. Throws Error (unsupported) where that can't be done.
AnalysedModel as_two_columns(const std::filesystem::path& model, const Program& program, const Dataset& data);

/// Throws Error (unsupported) for a model without a unit that can be removed.
void check_model(const std::filesystem::path& model, const UnitMap& map);

/// Sets the samples of `fit`, which has the truth about all of its data, and returns the same truth with the samples
/// held out. Throws Error (data_mismatch) if there are too few.
TestSet hold_out(TestSet& fit, double share, uint64_t seed);

/// The seeded order of a data set's samples, stratified where there are classes.
at::Tensor sample_order(const TestSet& set, uint64_t seed);

/// Every module asked for needs samples of its class, and of others: throws Error (data_mismatch) where there are none.
void check_classes(const TestSet& fit, const std::vector<int64_t>& modules, int64_t outputs);

}  // namespace incite
