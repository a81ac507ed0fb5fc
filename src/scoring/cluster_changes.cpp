#include "scoring/cluster_changes.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace incite {

ClusterChanges::ClusterChanges(const UnitMap& map, const std::vector<Cluster>& clusters, const Frontier& frontier,
                               at::Device device)
    : frontier_(frontier), clusters_(static_cast<int64_t>(clusters.size())), device_(device) {
  const std::vector<int64_t> of_units = unit_clusters(map, clusters);
  for (const Frontier::Place& place : frontier.places) {
    std::vector<int64_t> positions;
    std::vector<int64_t> own;
    for (size_t i = 0; i < place.units.size(); ++i) {
      const int64_t cluster = place.units[i] == no_unit ? -1 : of_units[at_index(place.units[i])];
      if (cluster < 0) continue;
      positions.push_back(static_cast<int64_t>(i));
      own.push_back(cluster);
    }
    Targets& targets = targets_.emplace_back();
    if (positions.size() < place.units.size()) targets.positions = at::tensor(positions, at::kLong).to(device);
    targets.clusters = at::tensor(own, at::kLong).to(device);
  }
}

std::vector<at::Tensor> ClusterChanges::of(const at::Tensor& wanted, const Recording& recording,
                                           const std::vector<bool>& open, int64_t samples) const {
  std::vector<at::Tensor> inputs;
  std::vector<size_t> places;
  for (size_t p = 0; p < recording.places.size(); ++p) {
    if (!open[p] || !recording.places[p].defined()) continue;
    inputs.push_back(recording.places[p]);
    places.push_back(p);
  }
  std::vector<at::Tensor> changes;
  for (size_t f = 0; f < recording.changes.size(); ++f)
    changes.push_back(at::zeros({samples, clusters_}, at::TensorOptions(at::kFloat).device(device_)));
  if (inputs.empty()) return changes;
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({wanted}, inputs, {}, /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!gradients[i].defined()) continue;
    for (size_t f = 0; f < changes.size(); ++f)
      add(places[i], recording.changes[f][places[i]], gradients[i], changes[f]);
  }
  return changes;
}

/// Adds up a change times its gradient over all but samples and labelled positions.
void ClusterChanges::add(size_t p, const at::Tensor& change, const at::Tensor& gradient, at::Tensor& sums) const {
  const Frontier::Place& place = frontier_.places[p];
  const Targets& targets = targets_[p];
  const at::Tensor products = (change * gradient).movedim({place.batch_axis, place.axis}, {0, 1});
  at::Tensor by_position = products.dim() > 2 ? products.flatten(2).sum(2) : products;
  // The axis of the samples may count several for each, as windows of an image.
  if (by_position.size(0) != sums.size(0)) by_position = by_position.unflatten(0, {sums.size(0), -1}).sum(1);
  if (targets.positions.defined()) by_position = by_position.index_select(1, targets.positions);
  sums.index_add_(1, targets.clusters, by_position.to(sums.dtype()));
}

}  // namespace incite
