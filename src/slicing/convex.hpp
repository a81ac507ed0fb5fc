#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "slicing/head.hpp"

namespace incite {

/// Of the original's probabilities in the targets of a set of all classes, or of labels; the rest is the data's.
inline constexpr double teacher_share = 0.8;

/// Of the modules' own losses, beside the weight 1 of the loss that they have together.
inline constexpr double own_share = 0.1;

/// Features with mean 0 and standard deviation 1, float64, and what undoes it in a head's weights. Where they are not
/// too many they are turned into uncorrelated ones of the same variance, in which L-BFGS needs a tenth of the steps: a
/// row fitted to `turned` is `turn` times as long in standardised features.
struct Standardised {
  at::Tensor turned;     ///< [samples, features]
  at::Tensor turn;       ///< [features, features]; undefined: none
  at::Tensor mean;       ///< [features]
  at::Tensor deviation;  ///< [features]; 1 where a feature is constant

  /// The rows [rows, features] of standardised features that rows of turned ones stand for.
  at::Tensor rows(const at::Tensor& turned_rows) const;
  /// The other way round.
  at::Tensor turned_rows(const at::Tensor& rows) const;
  /// Other features, turned in the same way.
  at::Tensor apply(const at::Tensor& features) const;
};

/// Without `centre`, means stay as they are.
Standardised standardise(const at::Tensor& features, bool centre);

/// Rows [rows, features] fitted to turned features, and their offsets [rows], for the features as they are.
Head unstandardise(const at::Tensor& rows, const at::Tensor& offsets, const Standardised& s);

/// What rows [rows, features] say of features [samples, features]: [samples, rows].
at::Tensor products(const at::Tensor& features, const at::Tensor& rows);

/// Minimises `loss` over `parameters` in place, by L-BFGS with a strong Wolfe line search.
void minimise(const std::vector<at::Tensor>& parameters, int64_t iterations, const std::function<at::Tensor()>& loss);

/// A loss that is a sum over pieces of the samples, and of what does not depend on them.
struct LossInPieces {
  int64_t samples = 0;
  at::Device device = at::kCPU;  ///< of what the samples are computed on
  /// Of some parameters, for `count` samples from `first` on. Pieces run beside each other.
  std::function<at::Tensor(const std::vector<at::Tensor>& parameters, int64_t first, int64_t count)> piece;
  std::function<at::Tensor(const std::vector<at::Tensor>& parameters)> rest;
};

/// The same, with pieces shared out among workers. The result does not depend on how many there are.
void minimise(const std::vector<at::Tensor>& parameters, int64_t iterations, const LossInPieces& loss);

/// A copy that gradients are taken for.
at::Tensor variable(const at::Tensor& start);

/// 1 where `positive`, else -1: float64.
at::Tensor signs(const at::Tensor& positive);

/// Weights that make both classes of each column count alike and sum to 1 in it, float64. `positive`: [samples, …]
/// bool.
at::Tensor balancing_weights(const at::Tensor& positive);

/// The rows [others, classes of a set] of samples by their columns, of which the set has `size` from `first` on: int64.
at::Tensor rows_within(const at::Tensor& columns, int64_t first, int64_t size);

/// The log loss of one module: of its log-odds against the classes that are not in its set, or of the logits of a set
/// of all classes.
class SetLoss {
 public:
  /// `rows` [samples] int64: see rows_of_head. Classes count alike if there are others; in a set of all classes,
  /// samples do. `teacher` [samples, classes]: probabilities of the original, which share in the targets of a set of
  /// all classes; undefined: labels alone.
  SetLoss(const at::Tensor& rows, const OutputSet& set, const at::Tensor& teacher = {});

  /// Of log-odds [samples, set] float64: a sum whose weights add up to 1 over all samples. The odds may be those of
  /// some samples only, from `first` on.
  at::Tensor operator()(const at::Tensor& odds, int64_t first = 0) const;

 private:
  at::Tensor rows_;
  at::Tensor weights_;  // [samples]; without others one for all
  at::Tensor signs_;    // a set of one: 1 where a sample is of the class, else -1
  at::Tensor targets_;  // with a teacher: [samples, classes]
  bool others_;
};

/// The log loss of one module for labels: the mean of the binary cross-entropies of its log-odds, over samples and
/// labels.
class LabelLoss {
 public:
  /// `labels` [samples, set]: 1 where a label holds, else 0. `teacher` [samples, set]: probabilities of the original,
  /// which share in the targets (see teacher_share); undefined: labels alone.
  explicit LabelLoss(const at::Tensor& labels, const at::Tensor& teacher = {});

  /// Of log-odds [samples, set] float64.
  at::Tensor operator()(const at::Tensor& odds) const;

 private:
  at::Tensor targets_;
};

/// The rows [others, classes of the set] of a fitted head from log-odds [set, features]: their differences to the first
/// row are the log-odds, times row_distance, and their sum is 0.
Head head_from_log_odds(const Head& odds, const OutputSet& set, OutputKind kind, bool has_bias);

}  // namespace incite
