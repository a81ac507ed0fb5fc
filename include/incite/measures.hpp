#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "incite/options.hpp"

namespace incite {

// What is measured of models and modules. Shares are 0 to 1. What is not defined is NaN.

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// Of a classifier in telling one class from the others, from the counts of true and false positives and negatives (T.
/// Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006, figure 1).
struct ClassMeasures {
  int64_t support = 0;           ///< samples of the class
  double accuracy = undefined;   ///< (TP + TN) / all
  double precision = undefined;  ///< TP / (TP + FP); NaN where it never says yes
  double recall = undefined;     ///< TP / (TP + FN); NaN where the class has no sample
  double f1 = undefined;         ///< 2 TP / (2 TP + FP + FN), the harmonic mean of the two
  double auc = undefined;        ///< see roc_auc
  /// Mean of the recall and the specificity, TN / (TN + FP): 0.5 for "always no", however rare the class is. NaN where
  /// all samples are of the class, or none.
  double balanced_accuracy = undefined;
  int64_t claims = 0;   ///< samples that it says yes of, TP + FP: what precision is over
  int64_t samples = 0;  ///< all samples: what accuracy is over
};

/// Of a regression's one output, in the unit of the target.
struct ErrorMeasures {
  double mae = undefined;   ///< mean |found - true|
  double rmse = undefined;  ///< square root of the mean (found - true)²
  double r2 = undefined;    ///< 1 - Σ (found - true)² / Σ (true - mean)²; NaN where the target is constant
};

/// Of a model as a whole.
struct ModelMeasures {
  double score = undefined;            ///< classification: accuracy; regression: mean over outputs of their MAE
  std::vector<ClassMeasures> classes;  ///< classification: each class against the others, as the arg max decides
  std::vector<ErrorMeasures> errors;   ///< regression: each output
  at::Tensor confusion;                ///< classification: see confusion_matrix
  double ece = undefined;              ///< classification: see calibration_error; NaN for outputs of kind `other`
};

/// What measuring gave.
struct Evaluation {
  Task task = Task::classification;
  int64_t samples = 0;     ///< that original and combined were measured on
  ModelMeasures original;  ///< of the outputs that have modules, in their order; of the others nothing
  ModelMeasures combined;  ///< of the modules together, in their order; all undefined for a single classifier
  std::vector<ClassMeasures> modules;  ///< classification: each module alone, at its own threshold, log-odds of 0, on
                                       ///< all samples of the test set
  double agreement = undefined;  ///< classification: share of the samples that original and modules put in one class
  /// Classification: the original at each module's question, yes where the class's output is the largest of all its
  /// outputs; on all samples of the test set.
  std::vector<ClassMeasures> originals;
  int64_t test_samples = 0;  ///< of the test set; more than `samples` where some classes have no module

  /// A module's accuracy, or mean absolute error.
  double score(size_t module) const {
    return task == Task::classification ? modules[module].accuracy : combined.errors[module].mae;
  }
  /// What tables show of a module first, and of the original beside it: balanced accuracy, or mean absolute error.
  double headline(size_t module) const {
    return task == Task::classification ? modules[module].balanced_accuracy : combined.errors[module].mae;
  }
  double original_headline(size_t module) const {
    return task == Task::classification ? originals[module].balanced_accuracy : original.errors[module].mae;
  }
};

/// Batch sizes that latency is measured at.
inline constexpr int64_t small_batch = 1;
inline constexpr int64_t large_batch = 256;

/// Milliseconds from a batch on the device to its outputs on the CPU.
struct Latency {
  double small = undefined;  ///< for a batch of small_batch
  double large = undefined;  ///< for one of large_batch

  /// Of two programs one after the other.
  Latency& operator+=(const Latency& other) {
    small += other.small;
    large += other.large;
    return *this;
  }
};

/// What a model takes, in memory, on disk and in arithmetic.
struct Cost {
  int64_t parameters = 0;    ///< elements of the trained parameters that `forward` reads
  int64_t bytes = 0;         ///< size of its TorchScript file
  double multiply_adds = 0;  ///< for one sample

  Cost& operator+=(const Cost& other) {
    parameters += other.parameters;
    bytes += other.bytes;
    multiply_adds += other.multiply_adds;
    return *this;
  }
};

}  // namespace incite
