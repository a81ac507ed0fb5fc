#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "scoring/clusters.hpp"
#include "scoring/recording.hpp"

namespace incite {

/// What each cluster's mutants change of a number that is differentiated, to first order from the frontier on.
class ClusterChanges {
 public:
  ClusterChanges(const UnitMap& map, const std::vector<Cluster>& clusters, const Frontier& frontier, at::Device device);

  /// By factor: changes [samples, clusters] of each sample's part of `wanted`, a sum over the samples. `open` says of
  /// each place whether it is looked at. Several threads may ask for gradients of one recording.
  std::vector<at::Tensor> of(const at::Tensor& wanted, const Recording& recording, const std::vector<bool>& open,
                             int64_t samples) const;

 private:
  /// The clusters of a place's positions.
  struct Targets {
    at::Tensor positions;  // int64; undefined: all, in order
    at::Tensor clusters;   // int64
  };
  void add(size_t place, const at::Tensor& change, const at::Tensor& gradient, at::Tensor& sums) const;

  const Frontier& frontier_;
  const int64_t clusters_;
  const at::Device device_;
  std::vector<Targets> targets_;  // by place
};

}  // namespace incite
