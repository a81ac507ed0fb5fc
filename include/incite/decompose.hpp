#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "incite/base/progress.hpp"
#include "incite/data/dataset.hpp"
#include "incite/decomposition.hpp"
#include "incite/evaluation_result.hpp"
#include "incite/inspection.hpp"
#include "incite/scoring/contributions.hpp"
#include "incite/selection/select.hpp"
#include "incite/slicing/calibration.hpp"
#include "incite/slicing/head.hpp"
#include "incite/slicing/repair.hpp"

namespace incite {

/// What decompose and inspect work on.
struct ModelOptions {
  std::filesystem::path model;
  DatasetOptions data;
  std::string output;          ///< which of several outputs, see load_program; empty: the only one
  std::string device = "cpu";  ///< cpu, cuda or cuda:<index>
};

inline constexpr double default_compression = 5;

/// Options of decompose. The defaults are ours; `paper_preset` gives the paper's.
struct DecomposeOptions : ModelOptions {
  std::filesystem::path out;
  std::optional<DatasetOptions> test;  ///< unset: a share of the data is held out
  double held_out = 0.2;               ///< share of the data to evaluate on when there is no test data
  std::optional<Task> task;            ///< unset: from the target
  std::optional<Metric> metric;        ///< unset: the next for classification, absolute for regression
  Metric classification_metric = Metric::probability;
  std::vector<double> factors = {0.0};
  ClusteringMethod clustering = ClusteringMethod::kmeans;
  int64_t cluster_size = 0;  ///< 0: chosen for each group
  // What modules are to be; of these at most one is given. None: as target_compression = default_compression.
  std::optional<double> keep;                ///< share of each group's clusters that stays
  std::optional<double> target_compression;  ///< the original's parameters over each module's, at least
  /// Points of combined accuracy (of one module: of balanced accuracy), or per cent of mean absolute error, that the
  /// smallest modules found may lose on samples that nothing was fitted to.
  std::optional<double> max_loss;
  Allocation allocation = Allocation::global;  ///< of target_compression and max_loss
  int64_t samples = 0;                         ///< most samples to score; 0: all
  std::optional<double> agreement = 0.99;      ///< see StopRule; unset: all, or so many, are scored
  std::filesystem::path scores;                ///< scores of an earlier run to use; empty: none
  bool resume = false;                         ///< go on from where an earlier run was stopped, if it was
  RepairMethod repair = RepairMethod::least_squares;
  HeadMethod head = HeadMethod::lbfgs;
  int64_t epochs = 128;                                       ///< of --head adam
  CalibrationMethod calibration = CalibrationMethod::layers;  ///< what makes the modules' log-odds comparable
  int64_t finetune = 0;                                       ///< most epochs of fine-tuning
  std::vector<int64_t> outputs;                               ///< empty: all
  uint64_t seed = 0;
  int64_t memory = 0;  ///< bytes; 0: half of what is free
  bool tf32 = false;   ///< score with TF32 products; for a GPU
  bool force = false;
  bool keep_scores = false;  ///< write scores.npz, which other runs can use as `scores`
};

/// Loads a model and finds its units. Throws what load_program and read_dataset throw, and Error (device).
Inspection inspect(const ModelOptions& options);

/// Takes a model apart and writes its modules and decomposition.json into `options.out`, and scores.npz with
/// `options.keep_scores`, all or nothing. A run that is stopped leaves the scores and modules so far there, as
/// checkpoint*, from which `options.resume` goes on; the result is then the same. Throws Error.
Decomposition decompose(const DecomposeOptions& options, const Progress& progress = {});

/// Whether a folder holds what a run that was stopped has left: scores, and modules.
bool has_checkpoint(const std::filesystem::path& out);

/// How many bytes of files that is.
int64_t checkpoint_bytes(const std::filesystem::path& out);

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
