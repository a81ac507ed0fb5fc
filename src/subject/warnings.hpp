#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/evaluate.hpp"

namespace incite {

// What may make a result worth little before anything is scored, each as a plain sentence: data that do not fit the
// model, too few samples. Nothing here stops a run.

/// The model is hardly better than a guess: `outputs` [n, outputs] are what it says of the set's samples. A classifier
/// is warned of where its accuracy is not significantly above the largest class's share and it tells the classes
/// apart little better than a constant does, or where its accuracy is far below its mean confidence; a regression
/// where its R2 is 0 or less on average.
std::optional<std::string> guessing_warning(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& set);

/// Of the classes `modules`, those with few samples among the set's.
std::optional<std::string> few_samples_warning(const TestSet& fit, const std::vector<int64_t>& modules);

/// What is known of a model and the samples to fit on before anything is scored. Runs the model on a part of the
/// samples, at most 1,000; not where its own outputs serve as targets.
std::vector<std::string> warnings_before_scoring(const Program& program, OutputKind kind, Task task, const TestSet& fit,
                                                 const std::vector<int64_t>& modules);

}  // namespace incite
