#include "scoring/metrics.hpp"

#include <ATen/ATen.h>

#include <array>

#include "base/random.hpp"
#include "base/rows.hpp"
#include "units/output_kind.hpp"

namespace incite {
namespace {

at::Tensor absolute(const at::Tensor& mutated, const at::Tensor& base, OutputKind /*kind*/) {
  return (mutated - base).abs();
}

at::Tensor probability(const at::Tensor& mutated, const at::Tensor& base, OutputKind kind) {
  return (probabilities(mutated, kind) - probabilities(base, kind)).abs();
}

at::Tensor flips(const at::Tensor& mutated, const at::Tensor& base, OutputKind /*kind*/) {
  const at::Tensor before = base.argmax(1, true).expand({mutated.size(0), mutated.size(1), 1});
  const at::Tensor after = mutated.argmax(2, true);
  const at::Tensor flipped = (before != after).to(at::kFloat);
  at::Tensor changed = at::zeros(mutated.sizes(), flipped.options());
  return changed.scatter_add_(2, before, flipped).scatter_add_(2, after, flipped);
}

at::Tensor random_numbers(const BaselineInputs& inputs) {
  at::Tensor numbers = at::empty({static_cast<int64_t>(inputs.clusters.size()), inputs.outputs}, at::kDouble);
  Random random(inputs.seed);
  for (int64_t i = 0; i < numbers.numel(); ++i)
    numbers.data_ptr<double>()[i] = random.uniform();
  return numbers;
}

at::Tensor magnitudes(const BaselineInputs& inputs) {
  return at::tensor(weight_magnitudes(inputs.program, inputs.map, inputs.clusters), at::kDouble).view({-1, 1});
}

constexpr std::array<MetricRow, 5> metrics = {{
    // metric  classification  multilabel  regression  exact  falls_with_certainty  estimated  effects  baseline
    {Metric::probability, true, true, false, true, true, true, probability, nullptr},
    {Metric::flips, true, false, false, false, true, false, flips, nullptr},
    {Metric::absolute, false, false, true, true, false, true, absolute, nullptr},
    {Metric::random, true, true, true, false, false, false, nullptr, random_numbers},
    {Metric::magnitude, true, true, true, false, false, false, nullptr, magnitudes},
}};

}  // namespace

const MetricRow& row_of(Metric metric) {
  return row_in(metrics, &MetricRow::metric, metric);
}

bool is_for(Metric metric, Task task) {
  const MetricRow& row = row_of(metric);
  switch (task) {
    case Task::classification:
      return row.classification;
    case Task::multilabel:
      return row.multilabel;
    case Task::regression:
      return row.regression;
  }
  return false;
}

}  // namespace incite
