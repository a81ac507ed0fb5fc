#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "incite/measures.hpp"
#include "incite/options.hpp"

namespace incite {

/// A module's log-odds times `scale`, plus `offset`.
struct Calibration {
  double scale = 1;
  double offset = 0;
};

/// A file that a decomposition was made from.
struct SourceFile {
  std::string file;
  std::string sha256;
};

struct GroupResult {
  std::vector<std::string> layers;
  int64_t units = 0;
  int64_t clusters = 0;
  int64_t pinned = 0;          ///< units that can't be removed
  int64_t scored_samples = 0;  ///< that its mutants were run on
  double agreement = 1;        ///< see ScoringState::agreement
};

/// How mutants were run.
struct ScoringResult {
  int64_t mutants = 0;
  double multiply_adds = 0;  ///< of all mutants on all samples; for what is counted see cost.hpp
  int64_t chunk = 0;         ///< samples in a pass
  int64_t batch = 0;         ///< most mutants in a batch
};

struct ModuleResult {
  int64_t output = 0;
  std::string file;  ///< in the folder of decomposition.json
  int64_t parameters = 0;
  int64_t bytes = 0;
  double compression = 1;                            ///< parameters of the original over parameters of the module
  std::map<std::string, std::vector<int64_t>> kept;  ///< by layer: channels
  double slice_difference = 0;  ///< relative difference between the bare slice and the masked original
  double multiply_adds = 0;     ///< for one sample
  Calibration calibration;      ///< of its log-odds, in its head already

  Cost cost() const { return {parameters, bytes, multiply_adds}; }
};

/// One size that a search for the smallest good modules has tried.
struct SearchStep {
  double compression = 1;
  double loss = 0;   ///< on the validation samples: points of combined accuracy, or per cent of mean absolute error
  double error = 0;  ///< its standard error

  /// What is lost at most: one-sided, 95 % confident.
  double bound() const { return loss + 1.645 * error; }
};

/// An option and its value, as the report writes them.
using Setting =
    std::pair<std::string, std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>>;

/// Everything that a decomposition has to say: the content of decomposition.json.
struct Decomposition {
  SourceFile model;
  int64_t parameters = 0;
  int64_t bytes = 0;         ///< of the original's file
  double multiply_adds = 0;  ///< of the original for one sample
  int64_t outputs = 0;
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  bool one_column = false;  ///< the file has one output, taken as those of two classes

  SourceFile data;
  std::optional<SourceFile> test;
  int64_t samples = 0;             ///< in the data
  int64_t fit_samples = 0;         ///< of those, what scoring and heads may use
  int64_t validation_samples = 0;  ///< of those, what weights are not fitted to: choices are made by them
  int64_t scored_samples = 0;
  int64_t test_samples = 0;
  bool own_targets = false;           ///< no target was given: the model's own outputs stood in for it
  std::string input_key, target_key;  ///< as DatasetOptions has them
  std::optional<double> input_scale;  ///< unset: 1/255 for inputs of uint8, 1 for the others
  std::vector<int64_t> input_shape;
  InputLayout input_layout = InputLayout::as_stored;
  std::string output;  ///< which of several outputs, see load_program; empty: the only one

  std::vector<Setting> settings;  ///< every option in force; NaN: null
  bool own_heads = true;          ///< modules have heads of their own, not the original's output layer
  std::vector<GroupResult> groups;
  ScoringResult scoring;
  std::optional<double> max_loss;   ///< that modules were searched for
  std::vector<SearchStep> steps;    ///< of that search, in order
  std::vector<double> head_losses;  ///< on the validation samples: heads fitted apart, and together if that is less
  std::vector<double>
      last_layer_losses;  ///< on the validation samples: before they were fitted together, and after each epoch
  std::vector<double> finetuning_losses;  ///< on the validation samples: before, and after each epoch
  std::vector<ModuleResult> modules;
  std::optional<int64_t> scores_bytes;  ///< of scores.npz; unset: it is not kept
  Evaluation evaluation;
  at::Tensor overlap;  ///< see overlap_matrix
  double mean_overlap = 1;
  double mean_compression = 1;
  std::vector<std::pair<std::string, double>> seconds;  ///< by stage, in order
  std::string device;
  int64_t threads = 1;
  std::vector<std::string> warnings;  ///< sentences; those known before scoring first

  Cost cost() const { return {parameters, bytes, multiply_adds}; }
  /// Of all modules together.
  Cost cost_of_modules() const {
    Cost sum;
    for (const ModuleResult& module : modules)
      sum += module.cost();
    return sum;
  }
};

}  // namespace incite
