#include "selection/select.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"

namespace incite {

namespace {

/// Keeps the best cluster of each span that would be left without a unit.
void fill_empty_spans(const UnitMap& map, const std::vector<Cluster>& clusters, const double* worth, Selection& kept) {
  for (const size_t span : empty_spans(map, kept)) {
    const auto& units = map.spans[span];
    const auto is_kept = [&](int32_t unit) { return kept[at_index(unit)]; };
    if (std::any_of(units.begin(), units.end(), is_kept)) continue;  // filled with a span before it
    const Cluster* best = nullptr;
    double most = 0;
    for (size_t c = 0; c < clusters.size(); ++c) {
      const bool has = std::any_of(clusters[c].units.begin(), clusters[c].units.end(),
                                   [&](int32_t unit) { return std::binary_search(units.begin(), units.end(), unit); });
      if (has && (best == nullptr || worth[c] > most)) {
        best = &clusters[c];
        most = worth[c];
      }
    }
    INCITE_ASSERT(best != nullptr);
    for (const int32_t unit : best->units)
      kept[at_index(unit)] = true;
  }
}

}  // namespace

at::Tensor best_clusters(const at::Tensor& scores, double keep) {
  // 1e-9: 0.07 * 100 is a little more than 7 in binary, and 7 is meant.
  const auto count = static_cast<int64_t>(std::ceil(keep * static_cast<double>(scores.size(-2)) - 1e-9));
  const at::Tensor ranked = at::argsort(scores, /*stable=*/true, -2, /*descending=*/true);
  return at::zeros_like(scores, scores.options().dtype(at::kBool)).scatter_(-2, ranked.narrow(-2, 0, count), true);
}

Selection select(const UnitMap& map, const std::vector<Cluster>& clusters, const at::Tensor& scores,
                 const std::vector<int64_t>& outputs, double keep) {
  if (!(keep > 0 && keep <= 1)) fail(ExitCode::usage, "--keep {}: expected a share above 0 and up to 1", keep);
  const at::Tensor own = scores.index_select(1, at::tensor(outputs, at::kLong));
  // Outputs have units of their own: each is measured by all that is done for it, in those of the one for which most is
  // done.
  const at::Tensor totals = own.sum(0);
  const at::Tensor column = (own * (totals.max() / totals.masked_fill(totals <= 0, INFINITY))).mean(1);
  const double* worth = column.data_ptr<double>();
  Selection kept(map.units.size(), true);
  for (size_t g = 0; g < map.groups.size(); ++g) {
    std::vector<int64_t> members;
    for (size_t c = 0; c < clusters.size(); ++c) {
      if (clusters[c].group == static_cast<int32_t>(g)) members.push_back(static_cast<int64_t>(c));
    }
    if (members.empty()) continue;
    const at::Tensor best = best_clusters(column.index_select(0, at::tensor(members, at::kLong)).unsqueeze(1), keep);
    for (size_t i = 0; i < members.size(); ++i) {
      if (best.data_ptr<bool>()[i]) continue;
      for (const int32_t unit : clusters[static_cast<size_t>(members[i])].units)
        kept[at_index(unit)] = false;
    }
  }
  fill_empty_spans(map, clusters, worth, kept);
  return kept;
}

}  // namespace incite
