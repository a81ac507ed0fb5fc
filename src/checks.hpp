#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "incite/data/dataset.hpp"
#include "incite/decompose.hpp"
#include "incite/evaluation/evaluate.hpp"

namespace incite {

// What decompose refuses, and inspect says that it would; some of it evaluate refuses too.

/// What the model does: as asked, or told from the target or the kind of outputs. Throws Error (data_mismatch) if
/// nothing tells.
Task choose_task(const std::optional<Task>& asked, const Dataset& data, OutputKind kind);

/// Throws Error (data_mismatch) for a model with one output where there must be classes.
void check_outputs(const std::filesystem::path& model, Task task, int64_t outputs);

/// Throws Error for what check_outputs refuses, and (unsupported) for a model without a unit that can be removed.
void check_model(const std::filesystem::path& model, const UnitMap& map, Task task, int64_t outputs);

/// Sets the samples of `fit`, which has the truth about all of its data, and returns the same truth with the samples
/// held out. Throws Error (data_mismatch) if there are too few.
TestSet hold_out(TestSet& fit, double share, uint64_t seed);

/// The seeded order of a data set's samples, stratified where there are classes.
at::Tensor sample_order(const TestSet& set, uint64_t seed);

/// Every module asked for needs samples of its class, and of others: throws Error (data_mismatch) where there are none.
void check_classes(const TestSet& fit, const std::vector<int64_t>& modules, int64_t outputs);

/// The error with which decompose refuses the model or the data; unset: it works, and `warnings` is what it warns of
/// before it scores. `options` are as decompose's, checked.
std::optional<Error> refusal(const DecomposeOptions& options, const Inspection& inspection, const Dataset& data,
                             std::vector<std::string>& warnings);

}  // namespace incite
