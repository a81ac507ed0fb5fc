#pragma once

#include <ATen/core/Tensor.h>

#include "incite/options.hpp"
#include "program/program.hpp"

namespace incite {

/// The quantity of an output that changes are added up in, and what a change of it is by a metric.
///
/// A probability is not linear in what the network computes, but its log-odds nearly are: those are what changes are
/// estimated of. What outputs mean follows from their kind, and a softmax or sigmoid at the end is left out.
class GradientTarget {
 public:
  GradientTarget(const Program& program, Metric metric, OutputKind kind);

  /// The value whose rows [samples, outputs] the other functions take.
  ValueId value() const { return value_; }
  /// What to differentiate for one output: of rows [..., outputs], [...].
  at::Tensor of(const at::Tensor& rows, int64_t output) const;
  /// The metric's effects [samples, n] of estimated changes [samples, n] of that.
  at::Tensor effects(const at::Tensor& rows, int64_t output, const at::Tensor& changes) const;
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
