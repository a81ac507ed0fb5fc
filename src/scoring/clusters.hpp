#pragma once

#include <cstdint>
#include <vector>

#include "incite/options.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// How units are put together to be mutated as one.
struct ClusterParams {
  ClusteringMethod method = ClusteringMethod::kmeans;
  int64_t cluster_size = 0;  ///< mean units a cluster; 0: a 64th of the group's units, 1 to 10
  uint64_t seed = 0;
};

/// Units of one group that are mutated, and kept or removed, together.
struct Cluster {
  int32_t group = -1;
  std::vector<int32_t> units;  ///< ascending; none is pinned
};

/// Clusters the removable units of each group by their incoming weights and biases, each feature scaled to [0, 1] over
/// the group, as the paper does; a unit of several layers has the features of all. Groups come in order, clusters
/// numbered by their first unit. k = ceil(units / cluster_size). `none` makes each unit a cluster. Throws Error (usage)
/// for a negative cluster_size.
std::vector<Cluster> cluster_units(const Program& program, const UnitMap& map, const ClusterParams& params);

/// As many clusters as cluster_units makes, each of units that stand next to each other: what clusters cost before they
/// are known.
std::vector<Cluster> even_clusters(const UnitMap& map, const ClusterParams& params);

/// By cluster: the sum of absolute incoming weights and biases (H. Li et al., "Pruning Filters for Efficient ConvNets",
/// ICLR 2017).
std::vector<double> weight_magnitudes(const Program& program, const UnitMap& map, const std::vector<Cluster>& clusters);

/// The cluster of each of the map's units, -1 for those in none.
std::vector<int64_t> unit_clusters(const UnitMap& map, const std::vector<Cluster>& clusters);

/// The reverse: clusters from the cluster of each unit.
std::vector<Cluster> clusters_of(const UnitMap& map, const std::vector<int64_t>& unit_clusters);

}  // namespace incite
