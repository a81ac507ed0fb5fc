#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/options.hpp"
#include "scoring/clusters.hpp"

namespace incite {

/// What a baseline scores clusters by, in place of running mutants.
struct BaselineInputs {
  const Program& program;
  const UnitMap& map;
  const std::vector<Cluster>& clusters;
  int64_t outputs;
  uint64_t seed;
};

/// One way to measure what clusters contribute: the row of a Metric.
struct MetricRow {
  Metric metric;
  bool classification;  ///< whether it is for that task
  bool multilabel;
  bool regression;
  /// Whether 0, with a factor of 0 among the mutants, means that the outputs did not change at all.
  bool exact;
  /// Whether it is near 0 on samples that the model is certain about: those are then scored less often.
  bool falls_with_certainty;
  /// Whether gradients estimate it: see GradientTarget.
  bool estimated;
  /// Effects [mutants, samples, outputs] of mutants on outputs: `mutated` [mutants, samples, outputs], `base`
  /// [samples, outputs] of the model as it is. Null: no mutant is run.
  at::Tensor (*effects)(const at::Tensor& mutated, const at::Tensor& base, OutputKind kind);
  /// Without mutants: contributions, broadcastable to [clusters, outputs] float64.
  at::Tensor (*baseline)(const BaselineInputs& inputs);
};

const MetricRow& row_of(Metric metric);

/// Whether a metric is for a task.
bool is_for(Metric metric, Task task);

}  // namespace incite
