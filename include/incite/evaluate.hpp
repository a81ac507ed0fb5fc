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

/// What to evaluate on, and how. What is not set is as decomposed, where that is known, else as in DatasetOptions.
struct EvaluationOptions {
  std::filesystem::path data;
  std::optional<std::string> input_key, target_key;
  std::optional<double> input_scale;
  std::vector<int64_t> input_shape;
  std::optional<InputLayout> input_layout;
  std::string device = "cpu";
  bool latency = false;  ///< measure it
};

/// Evaluates the modules of a decomposition on other data. `folder` holds decomposition.json; `model`, if not empty, is
/// the original's file in place of the one named there. Modules are read and run one at a time. Throws Error.
struct EvaluateOptions : EvaluationOptions {
  std::filesystem::path folder;
  std::filesystem::path model;
};
ModulesEvaluation evaluate_modules(const EvaluateOptions& options, const Progress& progress = {});

/// Evaluates a file by itself: a model, a composition of modules, or one module. Outputs that nothing tells the kind of
/// are taken for logits.
///
/// A composition is measured on samples of the classes that it has columns for, each column by itself on all samples. A
/// module is measured as the question that it answers: its class or any other; in a regression, by its one value.
/// Throws Error.
struct EvaluateModelOptions : EvaluationOptions {
  std::filesystem::path model;
  std::string output;        ///< which of several outputs, see load_program; empty: the only one
  std::optional<Task> task;  ///< unset: from the target
};
ModelEvaluation evaluate_model(const EvaluateModelOptions& options, const Progress& progress = {});

}  // namespace incite
