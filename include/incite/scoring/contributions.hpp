#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/base/progress.hpp"
#include "incite/data/dataset.hpp"
#include "incite/scoring/clusters.hpp"
#include "incite/units/output_kind.hpp"

namespace incite {

/// What a mutant's effect on an output is measured by, summed over samples.
enum class Metric {
  probability,  ///< |p - p'|, of the outputs' probabilities
  flips,        ///< |onehot(argmax y) - onehot(argmax y')|: the paper's (Algorithm 1)
  absolute,     ///< |y - y'|: the paper's for regression
  random,       ///< nothing: a seeded random number, the baseline that a metric must beat
};
const char* to_string(Metric metric);

struct ScoringParams {
  Metric metric = Metric::probability;
  std::vector<double> factors = {1.1, 0.9,
                                 0.0};  ///< a mutant multiplies its cluster's weights and biases by one of these
  int64_t memory = 0;                   ///< bytes that activations may take; 0: 1 GiB
  uint64_t seed = 0;                    ///< of Metric::random
  // Larger batches gain nothing more from the arithmetic and fall out of the caches.
  int64_t most_samples = 256;  ///< samples in one chunk
  int64_t most_rows = 4096;    ///< samples times mutants in one batch
};

/// What each cluster is worth to each output.
struct Contributions {
  at::Tensor scores;  ///< [clusters, outputs] float64, CPU: the metric's sum over mutants and samples
  int64_t samples = 0;
  int64_t mutants = 0;  ///< clusters times factors
  int64_t chunk = 0;    ///< samples in one forward pass
  int64_t batch = 0;    ///< most mutants in one batch
};

/// Scores every cluster's mutants on samples `order` (int64, CPU) of the data.
///
/// Scaling a unit's weights and bias scales its pre-activation, so a mutant is never built: each chunk of samples runs
/// once, and then, for each group, mutants stacked along the batch run from the group's first layer to the output.
/// Memory does not depend on the number of samples or mutants.
///
/// Throws Error: device when one mutant of one sample does not fit, data_mismatch when the model gives NaN for a
/// sample; and what `progress` throws.
Contributions score(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters, OutputKind kind,
                    const Dataset& data, const at::Tensor& order, const ScoringParams& params,
                    const Progress& progress = {});

}  // namespace incite
