#include "scoring/clusters.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "scoring/clustering.hpp"

namespace incite {
namespace {

/// What a layer's units read: incoming weights and bias, float32 [rows, features] on the CPU, and the unit of each row.
struct Incoming {
  at::Tensor rows;
  std::vector<int32_t> units;
};

Incoming incoming(const Program& program, const UnitMap& map, const Layer& layer) {
  at::Tensor weight = program.value(layer.weight).content.toTensor().movedim(layer.weight_axis, 0).flatten(1);
  const auto& units = map.parameters[at_index(layer.weight)][static_cast<size_t>(layer.weight_axis)];
  if (layer.bias >= 0) {
    const at::Tensor bias = program.value(layer.bias).content.toTensor();
    if (bias.size(0) == weight.size(0)) weight = at::cat({weight, bias.unsqueeze(1)}, 1);
  }
  weight = weight.to(at::kCPU, at::kFloat);
  // The gates of a recurrent unit lie side by side.
  const int64_t rows = weight.size(0) / layer.gates;
  return {at::cat(weight.split(rows), 1), {units.begin(), units.begin() + rows}};
}

/// [units, features], each feature scaled to [0, 1]. A unit with several rows in a layer has their mean.
at::Tensor features(const Program& program, const UnitMap& map, const Group& group, const std::vector<int32_t>& units) {
  std::vector<at::Tensor> columns;
  std::vector<int64_t> row_of(map.units.size(), -1);
  for (size_t u = 0; u < units.size(); ++u)
    row_of[at_index(units[u])] = static_cast<int64_t>(u);
  for (const int32_t l : group.layers) {
    const Incoming layer = incoming(program, map, map.layer(l));
    std::vector<int64_t> rows;
    std::vector<int64_t> read;
    for (size_t i = 0; i < layer.units.size(); ++i) {
      const int64_t row = layer.units[i] == no_unit ? -1 : row_of[at_index(layer.units[i])];
      if (row < 0) continue;
      rows.push_back(row);
      read.push_back(static_cast<int64_t>(i));
    }
    const at::Tensor index = at::tensor(rows, at::kLong);
    const auto size = static_cast<int64_t>(units.size());
    at::Tensor sums = at::zeros({size, layer.rows.size(1)})
                          .index_add_(0, index, layer.rows.index_select(0, at::tensor(read, at::kLong)));
    const at::Tensor counts = at::zeros({size, 1}).index_add_(0, index, at::ones({index.size(0), 1}));
    columns.push_back(sums.div_(counts.clamp_min(1)));
  }
  at::Tensor all = columns.size() == 1 ? columns[0] : at::cat(columns, 1);
  const at::Tensor low = all.amin(0, true);
  const at::Tensor range = all.amax(0, true) - low;
  return all.sub_(low).div_(at::where(range > 0, range, at::ones_like(range)));
}

int64_t clusters_of(int64_t units, const ClusterParams& params) {
  if (params.method == ClusteringMethod::none) return units;
  const int64_t size = params.cluster_size > 0 ? params.cluster_size : std::clamp<int64_t>(units / 64, 1, 10);
  return (units + size - 1) / size;
}

at::Tensor assign(const at::Tensor& points, int64_t k, const ClusterParams& params, uint64_t seed) {
  if (params.method == ClusteringMethod::agglomerative) return agglomerative(points, k).assignment;
  KMeansParams kmeans_params;
  kmeans_params.k = k;
  kmeans_params.seed = seed;
  return kmeans(points, kmeans_params).assignment;
}

std::vector<int32_t> removable_units_of(const UnitMap& map, const Group& group) {
  std::vector<int32_t> units;
  for (const int32_t unit : group.units) {
    if (!map.unit(unit).pinned) units.push_back(unit);
  }
  return units;
}

}  // namespace

std::vector<Cluster> even_clusters(const UnitMap& map, const ClusterParams& params) {
  std::vector<Cluster> clusters;
  for (size_t g = 0; g < map.groups.size(); ++g) {
    const std::vector<int32_t> units = removable_units_of(map, map.groups[g]);
    const auto count = static_cast<int64_t>(units.size());
    const int64_t k = count > 0 ? clusters_of(count, params) : 0;
    for (int64_t c = 0; c < k; ++c) {
      clusters.push_back(
          {static_cast<int32_t>(g), {units.begin() + c * count / k, units.begin() + (c + 1) * count / k}});
    }
  }
  return clusters;
}

std::vector<Cluster> cluster_units(const Program& program, const UnitMap& map, const ClusterParams& params) {
  if (params.cluster_size < 0) fail(ExitCode::usage, "cluster size {}: expected 1 or more", params.cluster_size);
  std::vector<Cluster> clusters;
  for (size_t g = 0; g < map.groups.size(); ++g) {
    const Group& group = map.groups[g];
    const std::vector<int32_t> units = removable_units_of(map, group);
    if (units.empty()) continue;
    const int64_t k = clusters_of(static_cast<int64_t>(units.size()), params);
    const size_t first = clusters.size();
    clusters.resize(first + static_cast<size_t>(k));
    const at::Tensor assignment = k == static_cast<int64_t>(units.size())
                                      ? at::arange(k, at::kLong)
                                      : assign(features(program, map, group, units), k, params,
                                               derive_seed(params.seed, fmt::format("clustering {}", g)));
    for (size_t u = 0; u < units.size(); ++u) {
      Cluster& cluster = clusters[first + static_cast<size_t>(assignment[static_cast<int64_t>(u)].item<int64_t>())];
      cluster.group = static_cast<int32_t>(g);
      cluster.units.push_back(units[u]);
    }
  }
  return clusters;
}

std::vector<double> weight_magnitudes(const Program& program, const UnitMap& map,
                                      const std::vector<Cluster>& clusters) {
  std::vector<double> of_units(map.units.size(), 0);
  for (const Layer& layer : map.layers) {
    const Incoming read = incoming(program, map, layer);
    const at::Tensor sums = read.rows.abs().sum(1, false, at::kDouble);
    for (size_t row = 0; row < read.units.size(); ++row) {
      if (read.units[row] != no_unit) of_units[at_index(read.units[row])] += sums.data_ptr<double>()[row];
    }
  }
  std::vector<double> magnitudes;
  for (const Cluster& cluster : clusters) {
    double sum = 0;
    for (const int32_t unit : cluster.units)
      sum += of_units[at_index(unit)];
    magnitudes.push_back(sum);
  }
  return magnitudes;
}

std::vector<int64_t> unit_clusters(const UnitMap& map, const std::vector<Cluster>& clusters) {
  std::vector<int64_t> of_units(map.units.size(), -1);
  for (size_t c = 0; c < clusters.size(); ++c) {
    for (const int32_t unit : clusters[c].units)
      of_units[at_index(unit)] = static_cast<int64_t>(c);
  }
  return of_units;
}

std::vector<Cluster> clusters_of(const UnitMap& map, const std::vector<int64_t>& unit_clusters) {
  INCITE_ASSERT(unit_clusters.size() == map.units.size());
  std::vector<Cluster> clusters;
  for (size_t unit = 0; unit < unit_clusters.size(); ++unit) {
    if (unit_clusters[unit] < 0) continue;
    const auto c = static_cast<size_t>(unit_clusters[unit]);
    if (c >= clusters.size()) clusters.resize(c + 1);
    clusters[c].group = map.units[unit].group;
    clusters[c].units.push_back(static_cast<int32_t>(unit));
  }
  return clusters;
}

}  // namespace incite
