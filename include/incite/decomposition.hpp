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
  int64_t scored_samples = 0;  ///< on which its mutants were run
  double agreement = 1;        ///< see ScoringState::agreement
};

/// How the effects of mutants were found.
struct ScoringResult {
  Scoring method = Scoring::mutation;
  std::string reason;        ///< why that one: the end of a sentence; empty: there was no choice
  int64_t mutants = 0;       ///< that were run
  int64_t passes = 0;        ///< backward passes of a sample
  double multiply_adds = 0;  ///< of all mutants, or passes, on all samples; counted as in cost.hpp
  int64_t chunk = 0;         ///< samples per pass
  int64_t batch = 0;         ///< maximum number of mutants in a batch
};

struct ModuleResult {
  OutputSet set;
  std::string file;  ///< relative to the folder of decomposition.json
  int64_t parameters = 0;
  int64_t bytes = 0;
  double compression = 1;                            ///< parameters of the original divided by those of the module
  std::map<std::string, std::vector<int64_t>> kept;  ///< by layer: the channels that stay
  double slice_difference = 0;  ///< relative difference between the slice, not yet repaired, and the masked original
  double multiply_adds = 0;     ///< for one sample
  /// Of its log-odds, of labels one for each; already part of its head.
  std::vector<Calibration> calibration = std::vector<Calibration>(1);

  Cost cost() const { return {parameters, bytes, multiply_adds}; }
};

/// One size that the search for MaxLoss tried.
struct SearchStep {
  double compression = 1;
  double loss = 0;   ///< on the validation samples: points of combined accuracy, or per cent of mean absolute error
  double error = 0;  ///< its standard error

  /// One-sided 95 % upper bound of the loss.
  double bound() const { return loss + 1.645 * error; }
};

/// An option and its value, for decomposition.json.
using Setting =
    std::pair<std::string, std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>>;

/// The result of decompose: the content of decomposition.json.
struct Decomposition {
  SourceFile model;
  int64_t parameters = 0;
  int64_t bytes = 0;         ///< of the original's file
  double multiply_adds = 0;  ///< of the original for one sample
  int64_t outputs = 0;
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  bool one_column = false;  ///< the file has one output, treated as two classes

  SourceFile data;
  std::optional<SourceFile> test;
  int64_t samples = 0;             ///< in the data
  int64_t fit_samples = 0;         ///< of `samples`: available to scoring and fitting
  int64_t validation_samples = 0;  ///< of `fit_samples`: no weights are fitted to them; choices are made by them
  int64_t scored_samples = 0;
  int64_t test_samples = 0;
  bool own_targets = false;           ///< no targets were given: the model's own outputs served as targets
  std::string input_key, target_key;  ///< as in DatasetOptions
  std::optional<double> input_scale;  ///< unset: 1/255 for uint8 inputs, 1 for others
  std::vector<int64_t> input_shape;
  InputLayout input_layout = InputLayout::as_stored;
  std::string output;  ///< the output used, if the model returns several: see load_program; empty: the only one

  std::vector<Setting> settings;  ///< every option in force; NaN is written as null
  bool own_heads = true;          ///< modules have their own heads instead of the original's output layer
  std::vector<GroupResult> groups;
  ScoringResult scoring;
  std::optional<double> max_loss;   ///< the limit of the search for the smallest modules
  std::vector<SearchStep> steps;    ///< of that search, in order
  std::vector<double> head_losses;  ///< on the validation samples: heads fitted apart, then together if that is lower
  std::vector<double> last_layer_losses;  ///< on the validation samples: before fitting, and after each epoch
  std::vector<double> finetuning_losses;  ///< on the validation samples: before, and after each epoch
  std::vector<ModuleResult> modules;
  std::optional<int64_t> scores_bytes;  ///< size of scores.npz; unset: it was not written
  Evaluation evaluation;
  at::Tensor overlap;  ///< see overlap_matrix
  double mean_overlap = 1;
  double mean_compression = 1;
  std::vector<std::pair<std::string, double>> seconds;  ///< by stage, in order
  std::string device;
  int64_t threads = 1;
  std::vector<std::string> warnings;  ///< sentences; those known before scoring come first

  Cost cost() const { return {parameters, bytes, multiply_adds}; }
  /// The sum over all modules.
  Cost cost_of_modules() const {
    Cost sum;
    for (const ModuleResult& module : modules)
      sum += module.cost();
    return sum;
  }
};

}  // namespace incite
