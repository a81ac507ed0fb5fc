#include "scoring/gradient_sums.hpp"

#include <ATen/ATen.h>

#include <map>

#include "scoring/sampling.hpp"

namespace incite {

/// [cells, clusters]
at::Tensor GradientSums::by_cell(const ChunkCells& chunk, const at::Tensor& effects) const {
  std::map<int32_t, double> shares;  // by group
  std::vector<double> counts;
  counts.reserve(clusters_.size());
  for (const Cluster& cluster : clusters_) {
    const auto [share, is_new] = shares.try_emplace(cluster.group, share_);
    if (is_new && rounds_.settled(cluster.group)) share->second = 0;
    counts.push_back(share->second);
  }
  const at::Tensor sums = at::matmul(chunk.members, effects).to(at::kDouble);
  return sums * at::tensor(counts, at::kDouble).to(sums.device());
}

void GradientSums::add(const ChunkCells& chunk, int64_t output, const at::Tensor& effects) {
  ScoringState& state = rounds_.state();
  const at::Tensor sums = by_cell(chunk, effects);
  state.sums.select(2, output).index_add_(0, chunk.cells.div(block_count, "floor"), sums);
  const std::vector<int64_t>& resampled = rounds_.resampled();
  for (size_t t = 0; t < resampled.size(); ++t) {
    if (resampled[t] == output)
      state.blocks.flatten(0, 1).select(2, static_cast<int64_t>(t)).index_add_(0, chunk.cells, sums);
  }
}

void GradientSums::add_to_others(const ChunkCells& chunk, const at::Tensor& others, const at::Tensor& effects) {
  at::Tensor& sums = rounds_.state().sums;
  const at::Tensor own = at::zeros({sums.size(0), sums.size(1)}, sums.options())
                             .index_add_(0, chunk.cells.div(block_count, "floor"), by_cell(chunk, effects));
  sums.add_(own.unsqueeze(2) * others.to(sums.device()));
}

}  // namespace incite
