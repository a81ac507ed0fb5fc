#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "incite/decomposition.hpp"
#include "incite/error.hpp"
#include "incite/options.hpp"
#include "incite/progress.hpp"

namespace incite {

/// The share of each group's clusters that a module keeps: above 0, up to 1.
struct Keep {
  double share = 0.6;
};
inline constexpr double default_compression = 5;
/// The original's parameters over each module's, at least: 1 or more.
struct Compression {
  double times = default_compression;
};
/// The smallest modules that lose no more than this on samples that nothing was fitted to: points of combined accuracy
/// (of one module: of balanced accuracy), or per cent of mean absolute error; 0 or more.
struct MaxLoss {
  double most = 0;
};
/// How large modules are.
using Size = std::variant<Compression, Keep, MaxLoss>;

/// Options of decompose. The defaults are ours; `paper_preset` gives the paper's.
struct DecomposeOptions : ModelOptions {
  std::filesystem::path out;
  std::optional<DatasetOptions> test;  ///< unset: a share of the data is held out
  double held_out = 0.2;               ///< share of the data to evaluate on when there is no test data
  std::optional<Metric> metric;        ///< unset: the next for classification, absolute for regression
  Metric classification_metric = Metric::probability;
  std::vector<double> factors = {0.0};
  ClusteringMethod clustering = ClusteringMethod::kmeans;
  int64_t cluster_size = 0;  ///< 0: chosen for each group
  Size size;
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
  uint64_t seed = 0;
  int64_t memory = 0;  ///< bytes; 0: half of what is free
  bool tf32 = false;   ///< score with TF32 products; for a GPU
  bool force = false;
  bool keep_scores = false;  ///< write scores.npz, which other runs can use as `scores`
};

/// Takes a model apart and writes its modules and decomposition.json into `options.out`, and scores.npz with
/// `options.keep_scores`, all or nothing. A run that is stopped leaves the scores and modules so far there, as
/// checkpoint*, from which `options.resume` goes on; the result is then the same. Throws Error.
Decomposition decompose(const DecomposeOptions& options, const Progress& progress = {});

}  // namespace incite
