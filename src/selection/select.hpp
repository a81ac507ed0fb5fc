#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "incite/options.hpp"
#include "program/program.hpp"
#include "scoring/clusters.hpp"

namespace incite {

/// The best ceil(keep * clusters) of a group's clusters for each output; equal ones in their order. `scores` is
/// [..., clusters, outputs] float64; the result is bool, of the same shape.
at::Tensor best_clusters(const at::Tensor& scores, double keep);

/// The paper's policy: of each group's clusters, the ceil(keep * clusters) that contribute most to `outputs` stay;
/// equal ones in their order. Pinned units stay, and so does the best cluster of a layer that would be left empty.
/// `scores` is [clusters, outputs] float64 (Contributions::scores); of several outputs, each counts for as much. Throws
/// Error (usage) unless 0 < keep <= 1.
Selection select(const UnitMap& map, const std::vector<Cluster>& clusters, const at::Tensor& scores,
                 const std::vector<int64_t>& outputs, double keep);

/// Counts a slice's trained parameters without making it.
class ParameterCount {
 public:
  /// A dimension of a parameter, and how many of its positions belong to some unit.
  struct Share {
    size_t parameter, dimension;
    int64_t positions;
  };
  /// What of each parameter's dimensions is left: [parameter][dimension].
  using Sizes = std::vector<std::vector<int64_t>>;

  /// `head_rows`: how many channels the head of a module has, whatever a selection says of them; 0: all.
  ParameterCount(const Program& program, const UnitMap& map, int64_t head_rows);

  /// Trained parameters of the module that keeps `keep`.
  int64_t operator()(const Selection& keep) const;

  /// Of a module that keeps everything.
  const Sizes& whole() const { return whole_; }
  static int64_t total(const Sizes& sizes);
  /// What the units hold together, without what their parameters share with nobody.
  std::vector<Share> shares(const std::vector<int32_t>& units) const;

 private:
  Sizes whole_;
  std::vector<std::vector<Share>> shares_;  // by unit; none for the head's
};

/// Takes clusters out of a selection: those that are `dead`, but for the last one of a layer.
void remove_dead(const UnitMap& map, const std::vector<Cluster>& clusters, const std::vector<bool>& dead,
                 Selection& keep);

/// A selection of as few units as can be: the pinned ones, and of each span that has none the unit that is the least of
/// it.
Selection smallest_selection(const UnitMap& map);

/// What compress may remove, and what it must.
struct CompressParams {
  int64_t parameters = 0;  ///< most that a module may have
  Allocation allocation = Allocation::global;
  double even = 0.25;      ///< global: how much a cluster counts for itself, the rest is its contribution
  double own = 1;          ///< global: exponent of a cluster's contribution to the outputs over its mean one to all
  std::vector<bool> dead;  ///< by cluster: goes whatever the budget; empty: none
};

/// The largest selection found that makes a module of at most so many parameters, or the smallest there is. `uniform`:
/// select, with the largest share that does. `global`: clusters go one after another, always the one whose loss does
/// the least damage for each parameter that goes with it. A cluster is a share of its group, by its contribution, which
/// counts for more where other outputs have less of it: of units that can stand in for each other, after repair, each
/// module keeps those that are its own. A group that has lost a share L has the damage artanh(L²) / 2, which grows with
/// the square of small shares, since errors that meet in one layer add up, and without end towards 1; it has it in each
/// layer that makes its units, of which a residual group has several. Pinned units stay, and one cluster of each layer;
/// where the module is still too large then, that cluster's units compete too, and one of them stays.
Selection compress(const ParameterCount& count, const UnitMap& map, const std::vector<Cluster>& clusters,
                   const at::Tensor& scores, const std::vector<int64_t>& outputs, const CompressParams& params);

}  // namespace incite
