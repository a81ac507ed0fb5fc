#pragma once

#include <ATen/core/Tensor.h>

#include "scoring/rounds.hpp"

namespace incite {

/// Adds effects, of which one pass after another has those on one output, to the sums of clusters that are not settled.
class GradientSums {
 public:
  /// `share`: what an effect counts, where a sample has several.
  GradientSums(Rounds& rounds, const std::vector<Cluster>& clusters, double share)
      : rounds_(rounds), clusters_(clusters), share_(share) {}

  /// `effects` [samples, clusters] on one output.
  void add(const ChunkCells& chunk, int64_t output, const at::Tensor& effects);
  /// On outputs that share a column: `others` [outputs] is 1 for them, else 0.
  void add_to_others(const ChunkCells& chunk, const at::Tensor& others, const at::Tensor& effects);

 private:
  at::Tensor by_cell(const ChunkCells& chunk, const at::Tensor& effects) const;

  Rounds& rounds_;
  const std::vector<Cluster>& clusters_;
  const double share_;
};

}  // namespace incite
