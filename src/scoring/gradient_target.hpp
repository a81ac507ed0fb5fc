#pragma once

#include <ATen/core/Tensor.h>

#include "incite/options.hpp"
#include "program/program.hpp"

namespace incite {

/// The number of an output that is differentiated, and what a change of it is by a metric.
///
/// A probability is not linear in what the network computes, but logits and log-odds nearly are: changes are estimated
/// of those. What outputs mean follows from their kind; a softmax or sigmoid at the end is left out.
class GradientTarget {
 public:
  GradientTarget(const Program& program, Metric metric, OutputKind kind);

  /// The value whose rows [samples, outputs] the other functions take.
  ValueId value() const { return value_; }
  /// Whether changes of all logits together tell more of a probability than that of its log-odds.
  bool has_logits() const { return odds_ && kind_ == OutputKind::logits; }

  /// What to differentiate for one output of rows [samples, outputs]: [samples].
  at::Tensor of(const at::Tensor& rows, int64_t output) const;
  /// The metric's effects [samples, n] of changes [samples, n] of that.
  at::Tensor effects(const at::Tensor& rows, int64_t output, const at::Tensor& changes) const;
  /// The metric's effects [samples, n, outputs] of changes of all logits, of the same shape.
  static at::Tensor effects_of_logits(const at::Tensor& rows, const at::Tensor& changes);

  /// Rows as probabilities, or as the values that they are.
  at::Tensor measured(const at::Tensor& rows) const;
  /// Whether effects are differences of probabilities.
  bool of_probabilities() const { return odds_; }

 private:
  ValueId value_;
  OutputKind kind_;
  bool odds_;
};

}  // namespace incite
