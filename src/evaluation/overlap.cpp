#include "evaluation/overlap.hpp"

#include <ATen/ATen.h>

namespace incite {

at::Tensor overlap_matrix(const UnitMap& map, const std::vector<Selection>& selections) {
  // A unit counts once for each of its channels in each of its layers.
  std::vector<double> channels(map.units.size(), 0);
  for (size_t u = 0; u < map.units.size(); ++u) {
    for (const Unit::Member& member : map.units[u].members)
      channels[u] += member.layer == map.head ? 0 : 1;
  }
  const auto modules = static_cast<int64_t>(selections.size());
  const at::Tensor weights = at::tensor(channels, at::kDouble);
  at::Tensor kept = at::zeros({modules, weights.size(0)}, at::kDouble);
  for (int64_t m = 0; m < modules; ++m) {
    double* row = kept.data_ptr<double>() + m * kept.size(1);
    const Selection& selection = selections[static_cast<size_t>(m)];
    for (size_t u = 0; u < selection.size(); ++u)
      row[u] = selection[u] ? 1 : 0;
  }
  const at::Tensor shared = (kept * weights).matmul(kept.t());
  const at::Tensor sizes = shared.diagonal();
  const at::Tensor either = sizes.unsqueeze(0) + sizes.unsqueeze(1) - shared;
  return shared / either.clamp_min(1);
}

double mean_overlap(const at::Tensor& matrix) {
  const auto modules = static_cast<double>(matrix.size(0));
  if (modules < 2) return 1;
  return (matrix.sum() - matrix.trace()).item<double>() / (modules * (modules - 1));
}

}  // namespace incite
