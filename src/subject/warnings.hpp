#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/evaluate.hpp"
#include "subject/subject.hpp"

namespace incite {

// Warnings before scoring, each a plain sentence: the data does not seem to fit the model, or there are too few
// samples. None of them stops a run.

/// Warns if the model is hardly better than a guess; `outputs` [n, outputs] are its outputs for the samples of the set.
/// For a classifier: its accuracy is not significantly above the share of the largest class, and it tells the classes
/// apart hardly better than a constant; or its accuracy is far below its mean confidence. For a regression: its mean R2
/// is 0 or less. For a multilabel model: the mean AUC of its labels is near 0.5.
std::optional<std::string> guessing_warning(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& set);

/// Warns of the classes or labels in `modules` that have few samples in the set.
std::optional<std::string> few_samples_warning(const TestSet& fit, const std::vector<int64_t>& modules);

/// All warnings before scoring. Runs the model on at most 1,000 samples, unless its own outputs serve as targets.
std::vector<std::string> warnings_before_scoring(const Subject& subject);

}  // namespace incite
