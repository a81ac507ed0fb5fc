#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "incite/options.hpp"

namespace incite {

// Measures of models and modules. Shares are from 0 to 1. Undefined measures are NaN.

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// How well a classifier tells one class from all others, from the counts of true and false positives and negatives
/// (T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006, figure 1).
struct ClassMeasures {
  int64_t support = 0;           ///< samples of the class
  double accuracy = undefined;   ///< (TP + TN) / all
  double precision = undefined;  ///< TP / (TP + FP); NaN if it never says yes
  double recall = undefined;     ///< TP / (TP + FN); NaN if the class has no sample
  double f1 = undefined;         ///< 2 TP / (2 TP + FP + FN), the harmonic mean of the two
  double auc = undefined;        ///< see roc_auc
  /// Mean of the recall and the specificity, TN / (TN + FP): 0.5 for "always no", however rare the class is. NaN if all
  /// samples are of the class, or none.
  double balanced_accuracy = undefined;
  int64_t claims = 0;                    ///< TP + FP: the samples behind the precision
  int64_t samples = 0;                   ///< all samples: those behind the accuracy
  double average_precision = undefined;  ///< multilabel: see average_precision

  /// The intersection over union, TP / (TP + FP + FN), of a class's positions; the Jaccard index.
  double iou() const { return f1 / (2 - f1); }
};

/// How well a module tells the classes of its set from each other and from all others. For one class that is its
/// ClassMeasures; for several labels of a multilabel model, means over them; for several, `accuracy` is that of the
/// decision among [others, classes], `balanced_accuracy` the mean of the recalls of those that have samples, and the
/// others are means over the classes for which they are defined; `support` and `claims` are 0.
struct SetMeasures : ClassMeasures {
  /// Each class of the set against everything else, decided by the largest of [others, classes].
  std::vector<ClassMeasures> classes;
};

/// Errors of one output of a regression, in the unit of the target.
struct ErrorMeasures {
  double mae = undefined;   ///< mean |found - true|
  double rmse = undefined;  ///< square root of the mean (found - true)²
  double r2 = undefined;    ///< 1 - Σ (found - true)² / Σ (true - mean)²; NaN if the target is constant
};

/// Measures of a model as a whole.
struct ModelMeasures {
  /// Classification: accuracy; multilabel: mean of the labels' average precision; regression: of the outputs' MAE.
  double score = undefined;
  /// Classification: each class against the others, decided by the arg max; multilabel: each label.
  std::vector<ClassMeasures> classes;
  std::vector<ErrorMeasures> errors;  ///< regression: each output
  at::Tensor confusion;               ///< classification: see confusion_matrix
  double ece = undefined;             ///< classification: see calibration_error; NaN for outputs of kind `other`
};

/// Measures of the original and its modules.
struct Evaluation {
  Task task = Task::classification;
  int64_t samples = 0;     ///< on which `original` and `combined` were measured; points, if there are positions
  int64_t positions = 0;   ///< of each sample, of outputs that have positions; 0: they have none
  ModelMeasures original;  ///< only of the outputs that have modules, in their order
  ModelMeasures combined;  ///< of the modules together, in their order; all NaN for a single classifier
  /// Classification: each module alone, on all samples of the test set: the class of its largest log-odds, or none of
  /// its classes if they are below 0. Multilabel: each label of a module holds where its log-odds are above 0.
  std::vector<SetMeasures> modules;
  /// Classification: share of samples that original and modules put into the same class; multilabel: share of the
  /// samples' labels on which they decide alike.
  double agreement = undefined;
  /// Classification: the original on each module's question, by the largest of all its outputs; on all samples of the
  /// test set.
  std::vector<SetMeasures> originals;
  /// Regression: means over the outputs of each module, of the modules and of the original.
  std::vector<ErrorMeasures> module_errors, original_errors;
  int64_t test_samples = 0;  ///< in the test set; more than `samples` if some classes have no module

  /// A module's accuracy, or mean absolute error.
  double score(size_t module) const {
    return task == Task::regression ? module_errors[module].mae : modules[module].accuracy;
  }
  /// The first measure in tables: a module's balanced accuracy, average precision, or mean absolute error.
  double headline(size_t module) const {
    return task == Task::regression ? module_errors[module].mae : headline(modules[module]);
  }
  /// The same measure of the original.
  double original_headline(size_t module) const {
    return task == Task::regression ? original_errors[module].mae : headline(originals[module]);
  }

 private:
  double headline(const ClassMeasures& of) const {
    return task == Task::multilabel ? of.average_precision : of.balanced_accuracy;
  }
};

/// Batch sizes at which latency is measured.
inline constexpr int64_t small_batch = 1;
inline constexpr int64_t large_batch = 256;

/// Time from a batch on the device to its outputs on the CPU, in milliseconds.
struct Latency {
  double small = undefined;  ///< for a batch of small_batch
  double large = undefined;  ///< for a batch of large_batch

  /// Adds the latency of a program that runs after this one.
  Latency& operator+=(const Latency& other) {
    small += other.small;
    large += other.large;
    return *this;
  }
};

/// The size and the arithmetic of a model.
struct Cost {
  int64_t parameters = 0;    ///< elements of the trained parameters that `forward` reads
  int64_t bytes = 0;         ///< size of its file
  double multiply_adds = 0;  ///< for one sample

  Cost& operator+=(const Cost& other) {
    parameters += other.parameters;
    bytes += other.bytes;
    multiply_adds += other.multiply_adds;
    return *this;
  }
};

}  // namespace incite
