#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "incite/error.hpp"
#include "incite/evaluation.hpp"
#include "incite/options.hpp"
#include "incite/progress.hpp"

namespace incite {

/// What to evaluate on, and how. Unset options are as decomposed, if that is known, else as in DatasetOptions.
struct EvaluationOptions {
  std::filesystem::path data;
  std::optional<std::string> input_key, target_key;
  std::optional<double> input_scale;
  std::vector<int64_t> input_shape;
  std::optional<InputLayout> input_layout;
  std::string device = "cpu";
  bool latency = false;  ///< measure latency too
};

struct EvaluateOptions : EvaluationOptions {
  std::filesystem::path folder;  ///< with decomposition.json and the modules
  std::filesystem::path model;   ///< the original's file; empty: the one that decomposition.json names
};
/// Evaluates the modules of a decomposition on other data. Modules are read and run one at a time. Throws Error.
ModulesEvaluation evaluate_modules(const EvaluateOptions& options, const Progress& progress = {});

struct EvaluateModelOptions : EvaluationOptions {
  std::filesystem::path model;
  std::string output;        ///< the output to use, if the model returns several: see load_program; empty: the only one
  std::optional<Task> task;  ///< unset: from the targets
};
/// Evaluates a file by itself: a model, a composition of modules, or one module. Outputs of unknown kind are treated as
/// logits.
///
/// A composition is measured on the samples of those classes that it has columns for; each column by itself is measured
/// on all samples. A module is measured as a detector of its class against all others; in a regression, by its value.
/// Throws Error.
ModelEvaluation evaluate_model(const EvaluateModelOptions& options, const Progress& progress = {});

}  // namespace incite
