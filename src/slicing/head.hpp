#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "incite/options.hpp"
#include "units/output_kind.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// Rows of a module's head: [others, classes of the set], or the values; 0: as many as the original's.
int64_t head_rows(HeadMethod method, const OutputSet& set);

/// The row of a fitted head for each sample's class: [n] int64; 0 for others, if the set has them. `classes` [n] int64.
at::Tensor rows_of_head(const at::Tensor& classes, const OutputSet& set);

struct HeadData;
struct Head;
struct HeadParams;

/// One way to make a head: the row of a HeadMethod.
struct HeadRow {
  HeadMethod method;
  bool own;               ///< the module gets a head of its own; else it keeps the original's
  bool needs_validation;  ///< its penalty is chosen by samples that it is not fitted to
  bool balances;          ///< it is fitted to as many samples of each class as of others: balanced_rows
  /// Null where there is no own head. See fit_classification_head and its siblings.
  Head (*classification)(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params);
  Head (*multilabel)(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params);
  Head (*regression)(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params);
};
const HeadRow& row_of(HeadMethod method);

struct HeadParams {
  HeadMethod method = HeadMethod::lbfgs;
  int64_t epochs = 128;      ///< adam: most passes over the samples
  int64_t iterations = 200;  ///< lbfgs: most iterations
  /// lbfgs: penalties on the weights of standardised features, of which the one that does best on the validating rows
  /// is taken; where there are none, the first.
  std::vector<double> l2 = {1e-5, 1e-4, 1e-3, 1e-2};
  double learning_rate = 1e-3;  ///< adam
  int64_t batch = 128;          ///< adam: samples a step
  double validation = 0.1;      ///< adam: share of the samples that choose the epoch
  uint64_t seed = 0;
};

/// An output layer for one module. Classification: [others, classes of the set]; else the labels or values of the set.
struct Head {
  at::Tensor weight;  ///< [rows, features] float32
  at::Tensor bias;    ///< [rows] float32; undefined if the original's layer has none
};

/// What the head of a module is fitted to. All tensors are on one device.
struct HeadData {
  at::Tensor features;  ///< [samples, features] float32: what the module's body gives
  at::Tensor rows;      ///< classification: [samples] int64: see rows_of_head
  /// The original's probabilities for the samples to fit to: see SetLoss and LabelLoss; may be undefined.
  at::Tensor teacher;
  at::Tensor values;       ///< regression: [samples, set] float32; multilabel: 1 where a label holds, else 0
  int64_t validating = 0;  ///< of the samples, the last ones, which lbfgs is not fitted to: they choose the penalty
  bool rectified = false;  ///< regression: the module ends in a relu (see put_head)
  bool has_bias = true;
  OutputKind kind = OutputKind::logits;
};

/// The layer whose outputs are the model's, where a head can be fitted in its place, and how it reads.
struct FittableHead {
  const Layer& layer;              ///< of the map; it computes the same at each position, if there are several
  std::vector<ValueId> relus;      ///< what relus between it and the output make
  std::vector<ValueId> resampled;  ///< what resampling between it and the output makes
  bool pooled = false;             ///< the output is its average over the positions

  /// What a head is fitted to, [samples, features], from what the layer reads: its average over the positions; without
  /// pooling and with several positions, [samples, features, positions...]. The layer, pooling and resampling are
  /// linear, so that their order does not matter.
  at::Tensor features(const at::Tensor& read) const;
};

/// The head that can be fitted: a linear layer or 1x1 convolution whose channels belong to nothing else. Resampling may
/// follow it, or global average pooling, relus (they go: see put_head), and a (log-)softmax or sigmoid, except for
/// regression. Throws Error (unsupported) otherwise; the message says what stands in the way.
FittableHead fittable_head(const Program& program, const UnitMap& map, Task task);

/// The samples that adam fits a classification head to, by the rows of their classes: as many of each as there are of
/// the rarest, shuffled; of a set of all classes, all samples. [n] int64 on the CPU. Throws Error (data_mismatch) if
/// there is no sample of one.
at::Tensor balanced_rows(const at::Tensor& rows, const OutputSet& set, uint64_t seed);

/// Fits a classification head: multinomial logistic regression; see HeadMethod. For adam the samples are those of
/// balanced_rows, and `original` is the original's output layer with its inputs cut (all rows), where it starts. Throws
/// Error (data_mismatch) if there is no sample of a class of the set, or of the others.
Head fit_classification_head(const HeadData& data, const Head& original, const OutputSet& set,
                             const HeadParams& params);

/// Fits a head for labels: a logistic regression for each of the set's, on all samples as they are, to the labels and
/// the original's probabilities (see LabelLoss). For adam, `original` is where it starts.
Head fit_multilabel_head(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params);

/// Fits a regression head by least absolute deviation: with lbfgs from the least-squares solution, with a smoothed |r|
/// that sharpens in stages. Where the module ends in a relu, an output below 0 is right for a value of 0: then the loss
/// is convex still, and at least the rectified output's deviation. Each output of the set by itself.
Head fit_regression_head(const HeadData& data, const Head& original, const OutputSet& set, const HeadParams& params);

/// Puts a fitted head in the place of the module's. Relus after it are taken out, since fitted logits may be negative;
/// for regression one is put at the end instead, so that no value is negative where the original's can't be.
void put_head(const FittableHead& head, const Head& fitted, Task task, Program& module);

/// The head of a module, in the rows that put_head left. `layer`: the original's, whose values the module has.
Head head_of(const Layer& layer, const Program& module);

/// Puts another head of the same size into a module.
void replace_head(const Layer& layer, const Head& head, Program& module);

}  // namespace incite
