#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "scoring/clusters.hpp"
#include "scoring/recording.hpp"

namespace incite {

/// What each mutated unit's mutants change of a number that is differentiated, to first order from the frontier on.
class UnitChanges {
 public:
  UnitChanges(const UnitMap& map, const std::vector<Cluster>& clusters, const Frontier& frontier, at::Device device);

  /// Units that are mutated. Tensors have a column for each.
  int64_t units() const { return clusters_.size(0); }

  /// By factor: changes [samples, units] of each sample's part of `wanted`, a sum over the samples. `open` says of each
  /// place whether it is looked at. `keep`: more gradients of the same recording follow.
  std::vector<at::Tensor> of(const at::Tensor& wanted, const Recording& recording, const std::vector<bool>& open,
                             int64_t samples, bool keep) const;

  /// Columns [samples, units] added up for clusters: [samples, clusters].
  at::Tensor by_cluster(const at::Tensor& columns) const;

 private:
  /// The columns of a place's positions.
  struct Targets {
    at::Tensor positions;  // int64; undefined: all, in order
    at::Tensor columns;    // int64
  };
  void add(size_t place, const at::Tensor& change, const at::Tensor& gradient, at::Tensor& sums) const;

  const Frontier& frontier_;
  int64_t cluster_count_;
  at::Tensor clusters_;           // int64 [units]: the cluster of each column
  std::vector<Targets> targets_;  // by place
};

}  // namespace incite
