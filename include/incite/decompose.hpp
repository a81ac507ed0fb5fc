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
/// The least ratio of the original's parameters to each module's: 1 or more.
struct Compression {
  double times = default_compression;
};
/// The smallest modules that lose at most this much on the validation samples: points of combined accuracy (for a
/// single module, of balanced accuracy), or per cent of mean absolute error; 0 or more.
struct MaxLoss {
  double most = 0;
};
/// How the size of the modules is chosen.
using Size = std::variant<Compression, Keep, MaxLoss>;

/// Options of decompose. The defaults are ours; `--preset paper` on the command line sets the paper's.
struct DecomposeOptions : ModelOptions {
  std::filesystem::path out;
  std::optional<DatasetOptions> test;  ///< unset: a share of the data is held out
  double held_out = 0.2;               ///< share of the data to evaluate on if there is no test data
  std::optional<Metric> metric;        ///< unset: classification_metric, or absolute for regression
  Metric classification_metric = Metric::probability;
  std::optional<Scoring> scoring;  ///< unset: mutants run unless gradients are much cheaper
  std::vector<double> factors = {0.0};
  ClusteringMethod clustering = ClusteringMethod::kmeans;
  int64_t cluster_size = 0;  ///< 0: chosen for each group
  Size size;
  Allocation allocation = Allocation::global;  ///< for Compression and MaxLoss; Keep is always uniform
  int64_t samples = 0;                         ///< maximum number of samples to score; 0: all
  std::optional<double> agreement = 0.99;      ///< see StopRule; unset: all `samples` are scored
  std::filesystem::path scores;                ///< file with the scores of an earlier run; empty: none
  bool resume = false;                         ///< continue a run that was stopped, if there is one
  RepairMethod repair = RepairMethod::least_squares;
  HeadMethod head = HeadMethod::lbfgs;
  int64_t epochs = 128;                                       ///< maximum, for HeadMethod::adam
  CalibrationMethod calibration = CalibrationMethod::layers;  ///< how the modules' log-odds are made comparable
  int64_t finetune = 0;                                       ///< maximum epochs of fine-tuning; 0: none
  uint64_t seed = 0;
  int64_t memory = 0;                           ///< bytes for activations; 0: half of the free memory
  bool tf32 = false;                            ///< score with TF32 products; GPU only
  FileFormat format = FileFormat::torchscript;  ///< of the modules' files
  bool force = false;
  bool keep_scores = false;  ///< write scores.npz, which later runs can use as `scores`
};

/// Takes a model apart and writes its modules and decomposition.json into `options.out`, with `options.keep_scores`
/// scores.npz too: all files or none. A run that is stopped leaves its scores and modules there as checkpoint*;
/// `options.resume` continues from these and gives the same result. Throws Error.
Decomposition decompose(const DecomposeOptions& options, const Progress& progress = {});

}  // namespace incite
