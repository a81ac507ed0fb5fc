#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "incite/measures.hpp"
#include "units/output_kind.hpp"

namespace incite {

// Measures of what classifiers and regressions say, from their outputs alone. Shares are 0 to 1. What is not defined is
// NaN.

/// Where a share probably lies.
struct Interval {
  double low = 0, high = 1;
};

/// The score interval of a share that was found in so many samples, at least 1 (E. B. Wilson, "Probable Inference, the
/// Law of Succession, and Statistical Inference", Journal of the American Statistical Association 22, 1927). `z`: 1.96
/// for 95 % confidence; 1.645 for that on one side alone.
Interval wilson_interval(double share, int64_t samples, double z = 1.96);

/// Shares of fewer samples than this are told with their interval.
inline constexpr int64_t enough_samples = 30;

/// The interval of a share of too few samples; unset where there are enough, or none, or the share is undefined.
std::optional<Interval> interval_of_few(double share, int64_t samples);

/// The interval of a class's balanced accuracy where its samples or the others are few: of two independent shares, from
/// their score intervals (R. G. Newcombe, "Interval estimation for the difference between independent proportions:
/// comparison of eleven methods", Statistics in Medicine 17, 1998, method 10). Unset as interval_of_few.
std::optional<Interval> balanced_interval(const ClassMeasures& measures);

/// The area under the ROC curve: the probability that a sample of the class scores higher than one of the others, a tie
/// counting half (Fawcett 2006, section 7). By ranks, as the Wilcoxon statistic: time n log n. `scores` [n], `positive`
/// [n] bool. NaN where all samples are of the class, or none, or a score is NaN.
double roc_auc(const at::Tensor& scores, const at::Tensor& positive);

/// The expected calibration error: the mean over samples of |accuracy - confidence| of their bin, of `bins` of equal
/// width, ((b - 1) / bins, b / bins] (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation
/// 3). `confidence` [n], the probability given to the class decided for; `right` [n] bool. NaN where a confidence is
/// not finite or there is no sample.
double calibration_error(const at::Tensor& confidence, const at::Tensor& right, int64_t bins = 15);

/// How many samples of each class were taken for each: [classes, classes] int64, true class by class decided for.
/// `truth`, `decided` [n] int64, 0 to classes - 1.
at::Tensor confusion_matrix(const at::Tensor& truth, const at::Tensor& decided, int64_t classes);

/// Of one module that says yes where its log-odds `scores` [n] are above 0. `positive` [n] bool.
ClassMeasures class_measures(const at::Tensor& scores, const at::Tensor& positive);

/// `found` and `truth` [n].
ErrorMeasures error_measures(const at::Tensor& found, const at::Tensor& truth);

/// Of a classifier with outputs [n, classes] of a kind. It decides for the largest; confidences are the probabilities
/// that the outputs mean, made to add up to 1 over the classes but for those of a sigmoid; a class's scores for ROC are
/// its log-odds. `truth` [n] int64, 0 to classes - 1. Takes time and memory linear in n · classes, but for the sorting
/// of n scores a class.
ModelMeasures measure_classifier(const at::Tensor& outputs, OutputKind kind, const at::Tensor& truth);

/// Of such a classifier in telling the classes of each set from each other and from all others: it decides for the
/// largest of all outputs. `truth` [n] int64: the class of each sample, of all outputs.
std::vector<SetMeasures> measure_classes(const at::Tensor& outputs, OutputKind kind, const at::Tensor& truth,
                                         const std::vector<OutputSet>& sets);

/// Of a module: `odds` [n, set], its log-odds. It decides for the largest that is above 0, else for none; for a set of
/// all classes for the largest. `classes` [n] int64: the class of each sample, of all outputs.
SetMeasures measure_set(const at::Tensor& odds, const OutputSet& set, const at::Tensor& classes);

/// The average precision of scores [n] that rank samples: Σ (R_k - R_{k-1}) P_k over the thresholds, from the highest
/// on, of recalls R and precisions P, without interpolation; samples of equal score share a threshold (as in
/// scikit-learn's average_precision_score). `positive` [n] bool. NaN where no sample is positive, or a score is NaN.
double average_precision(const at::Tensor& scores, const at::Tensor& positive);

/// Of a multilabel model, or modules: `odds` [n, labels] log-odds, each label said to hold where it is above 0; `truth`
/// [n, labels], 1 where a label holds, else 0. The score is the mean average precision, over labels that occur.
ModelMeasures measure_labels(const at::Tensor& odds, const at::Tensor& truth);

/// Of several labels, the means of the measures that are defined; of one label, its own.
SetMeasures mean_of_labels(std::vector<ClassMeasures> labels);

/// The mean intersection over union of the classes that occur or are decided for.
double mean_iou(const ModelMeasures& measures);

/// The mean of a classifier's confidences, as measure_classifier takes them; NaN for outputs of kind `other`.
double mean_confidence(const at::Tensor& outputs, OutputKind kind);

/// Of a regression: `found` and `truth` [n, outputs].
ModelMeasures measure_regression(const at::Tensor& found, const at::Tensor& truth);

}  // namespace incite
