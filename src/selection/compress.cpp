#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <queue>

#include "base/fail.hpp"
#include "selection/select.hpp"

namespace incite {
namespace {

int64_t product(const std::vector<int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

/// What each cluster is of its group, so that those of a group add up to 1: its share of the contributions, and, with
/// the weight `even`, of the clusters.
std::vector<double> shares_of_groups(const UnitMap& map, const std::vector<Cluster>& clusters,
                                     const double* contributions, double even) {
  std::vector<double> sums(map.groups.size(), 0.0), counts(map.groups.size(), 0.0), shares;
  for (size_t c = 0; c < clusters.size(); ++c) {
    const auto g = at_index(clusters[c].group);
    sums[g] += contributions[c];
    counts[g] += 1;
  }
  for (size_t c = 0; c < clusters.size(); ++c) {
    const auto g = at_index(clusters[c].group);
    shares.push_back((1 - even) * contributions[c] / std::max(sums[g], 1e-300) + even / counts[g]);
  }
  return shares;
}

/// Contributions to some outputs, [clusters] float64: what a cluster does for them on the mean, times that power of how
/// much more it does for them than for all outputs. Outputs have units of their own: each is measured by all that is
/// done for it.
at::Tensor own_contributions(const at::Tensor& scores, const std::vector<int64_t>& outputs, double power) {
  const at::Tensor shares = scores / scores.sum(0, /*keepdim=*/true).clamp_min(1e-300);
  const at::Tensor column = shares.index_select(1, at::tensor(outputs, at::kLong)).mean(1);
  return (column * (column / shares.mean(1).clamp_min(1e-300)).pow(power)).contiguous();
}

/// What is lost with a share of a group: half the square of a small share, and without end as nothing is left.
double damage(double share) {
  return 0.5 * std::atanh(std::min(share * share, 1 - 1e-12));
}

/// Removes clusters one by one, the cheapest first.
class Compressor {
 public:
  Compressor(const ParameterCount& count, const UnitMap& map, const std::vector<Cluster>& clusters,
             const double* contributions, const CompressParams& params)
      : map_(map),
        clusters_(clusters),
        contributions_(shares_of_groups(map, clusters, contributions, params.even)),
        params_(params),
        sizes_(count.whole()),
        total_(ParameterCount::total(sizes_)),
        lost_(map.groups.size(), 0.0),
        kept_(map.units.size(), true),
        left_(map.spans.size()),
        spans_(clusters.size()) {
    for (const Cluster& cluster : clusters)
      shares_.push_back(count.shares(cluster.units));
    find_spans();
  }

  Selection run() {
    for (size_t c = 0; c < clusters_.size(); ++c) {
      if (!params_.dead.empty() && params_.dead[c] && !empties_a_span(c)) remove(c);
    }
    // Prices only rise: the parameters that go with a cluster become fewer, and what its group has lost becomes more.
    // So a price that was right some time ago is a lower bound, and is made right when its turn comes.
    using Entry = std::pair<double, size_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    for (size_t c = 0; c < clusters_.size(); ++c) {
      if (is_kept(c)) queue.emplace(price(c), c);
    }
    std::vector<size_t> order;
    while (total_ > params_.parameters && !queue.empty()) {
      const auto [asked, c] = queue.top();
      queue.pop();
      if (empties_a_span(c)) continue;  // and will go on to: it stays
      const double now = price(c);
      if (now > asked && !queue.empty() && Entry{now, c} > queue.top()) {
        queue.emplace(now, c);
        continue;
      }
      remove(c);
      order.push_back(c);
    }
    // The last one to go has mostly left room for some that are smaller than it, or are now.
    for (auto c = order.rbegin(); c != order.rend(); ++c) {
      put_back(*c);
      if (total_ > params_.parameters) remove(*c);
    }
    return kept_;
  }

 private:
  void find_spans() {
    std::vector<std::vector<size_t>> of_unit(map_.units.size());
    for (size_t span = 0; span < map_.spans.size(); ++span) {
      left_[span] = static_cast<int64_t>(map_.spans[span].size());
      for (const int32_t unit : map_.spans[span])
        of_unit[at_index(unit)].push_back(span);
    }
    for (size_t c = 0; c < clusters_.size(); ++c) {
      for (const int32_t unit : clusters_[c].units) {
        for (const size_t span : of_unit[at_index(unit)])
          ++spans_[c][span];
      }
    }
  }

  bool is_kept(size_t c) const { return kept_[at_index(clusters_[c].units.front())]; }

  bool empties_a_span(size_t c) const {
    return std::any_of(spans_[c].begin(), spans_[c].end(),
                       [&](const auto& entry) { return left_[entry.first] <= entry.second; });
  }

  /// What would be lost for each parameter that would go.
  double price(size_t c) const {
    const auto group = at_index(clusters_[c].group);
    const auto layers = static_cast<double>(map_.groups[group].layers.size());
    const double more = damage(lost_[group] + contributions_[c]) - damage(lost_[group]);
    return layers * more / std::max(1.0, static_cast<double>(freed(c)));
  }

  /// Parameters that would go with a cluster.
  int64_t freed(size_t c) const {
    int64_t before = 0, after = 0;
    const auto& shares = shares_[c];
    for (size_t i = 0; i < shares.size();) {
      const size_t parameter = shares[i].parameter;
      std::vector<int64_t> sizes = sizes_[parameter];
      before += product(sizes);
      for (; i < shares.size() && shares[i].parameter == parameter; ++i)
        sizes[shares[i].dimension] -= shares[i].positions;
      after += product(sizes);
    }
    return before - after;
  }

  void remove(size_t c) {
    total_ -= freed(c);
    change(c, -1);
  }

  void put_back(size_t c) {
    change(c, 1);
    total_ += freed(c);
  }

  /// Takes a cluster out, or in.
  void change(size_t c, int64_t sign) {
    for (const ParameterCount::Share& share : shares_[c])
      sizes_[share.parameter][share.dimension] += sign * share.positions;
    lost_[at_index(clusters_[c].group)] -= static_cast<double>(sign) * contributions_[c];
    for (const auto& [span, units] : spans_[c])
      left_[span] += sign * units;
    for (const int32_t unit : clusters_[c].units)
      kept_[at_index(unit)] = sign > 0;
  }

  const UnitMap& map_;
  const std::vector<Cluster>& clusters_;
  const std::vector<double> contributions_;  // see shares_of_groups
  const CompressParams& params_;
  ParameterCount::Sizes sizes_;
  int64_t total_;
  std::vector<double> lost_;  // by group: of what was removed
  Selection kept_;
  std::vector<int64_t> left_;                               // by span: units that are kept
  std::vector<std::map<size_t, int64_t>> spans_;            // by cluster: how many units of which spans it has
  std::vector<std::vector<ParameterCount::Share>> shares_;  // by cluster
};

/// Goes on from `kept`, of which no cluster can go any more, unit by unit. A unit has its part of its cluster's
/// contribution.
Selection compress_units(const ParameterCount& count, const UnitMap& map, const std::vector<Cluster>& clusters,
                         const double* contributions, const CompressParams& params, const Selection& kept) {
  std::vector<Cluster> units;
  std::vector<double> parts;
  CompressParams rest = params;
  rest.dead.clear();
  for (size_t c = 0; c < clusters.size(); ++c) {
    for (const int32_t unit : clusters[c].units) {
      units.push_back({clusters[c].group, {unit}});
      parts.push_back(contributions[c] / static_cast<double>(clusters[c].units.size()));
      rest.dead.push_back(!kept[at_index(unit)]);
    }
  }
  return Compressor(count, map, units, parts.data(), rest).run();
}

/// The largest share of each group's clusters with which a module is small enough.
Selection compress_uniformly(const ParameterCount& count, const UnitMap& map, const std::vector<Cluster>& clusters,
                             const at::Tensor& scores, const std::vector<int64_t>& outputs, int64_t parameters) {
  // Between two shares k / clusters of the largest group nothing changes much.
  std::vector<int64_t> sizes(map.groups.size(), 0);
  for (const Cluster& cluster : clusters)
    ++sizes[at_index(cluster.group)];
  const int64_t steps = std::max<int64_t>(1, *std::max_element(sizes.begin(), sizes.end()));
  const auto at = [&](int64_t step) {
    return select(map, clusters, scores, outputs, static_cast<double>(step) / static_cast<double>(steps));
  };
  int64_t small = 1, large = steps + 1;  // the first is taken, if it must be; the second is too large
  while (large - small > 1) {
    const int64_t middle = (small + large) / 2;
    (count(at(middle)) <= parameters ? small : large) = middle;
  }
  return at(small);
}

/// Whether a span has no unit that stays once those of `cluster` are gone.
bool would_empty(const std::vector<int32_t>& span, const Cluster& cluster, const Selection& keep) {
  return std::all_of(span.begin(), span.end(), [&](int32_t unit) {
    return !keep[at_index(unit)] || std::binary_search(cluster.units.begin(), cluster.units.end(), unit);
  });
}

}  // namespace

void remove_dead(const UnitMap& map, const std::vector<Cluster>& clusters, const std::vector<bool>& dead,
                 Selection& keep) {
  for (size_t c = 0; c < clusters.size(); ++c) {
    const Cluster& cluster = clusters[c];
    if (!dead[c] || !keep[at_index(cluster.units.front())]) continue;
    if (std::any_of(map.spans.begin(), map.spans.end(),
                    [&](const auto& span) { return would_empty(span, cluster, keep); })) {
      continue;
    }
    for (const int32_t unit : cluster.units)
      keep[at_index(unit)] = false;
  }
}

ParameterCount::ParameterCount(const Program& program, const UnitMap& map, int64_t head_rows)
    : shares_(map.units.size()) {
  std::vector<bool> fixed(map.units.size(), false);
  if (map.head >= 0 && head_rows > 0) {
    for (const int32_t unit : map.layer(map.head).units)
      fixed[at_index(unit)] = true;
  }
  for (size_t i = 0; i < program.values.size(); ++i) {
    const Value& value = program.values[i];
    if (value.kind != Value::Kind::parameter || value.is_buffer || !value.content.isTensor()) continue;
    const size_t parameter = whole_.size();
    whole_.push_back(value.content.toTensor().sizes().vec());
    const auto& dimensions = map.parameters[i];
    for (size_t d = 0; d < dimensions.size(); ++d) {
      bool of_head = false;
      for (const int32_t unit : dimensions[d]) {
        if (unit == no_unit) continue;
        if (fixed[at_index(unit)]) {
          of_head = true;
          continue;
        }
        auto& shares = shares_[at_index(unit)];
        if (shares.empty() || shares.back().parameter != parameter || shares.back().dimension != d)
          shares.push_back({parameter, d, 0});
        ++shares.back().positions;
      }
      if (of_head) whole_[parameter][d] = head_rows;
    }
  }
}

int64_t ParameterCount::total(const Sizes& sizes) {
  int64_t sum = 0;
  for (const auto& parameter : sizes)
    sum += product(parameter);
  return sum;
}

int64_t ParameterCount::operator()(const Selection& keep) const {
  Sizes sizes = whole_;
  for (size_t unit = 0; unit < keep.size(); ++unit) {
    if (keep[unit]) continue;
    for (const Share& share : shares_[unit])
      sizes[share.parameter][share.dimension] -= share.positions;
  }
  return total(sizes);
}

std::vector<ParameterCount::Share> ParameterCount::shares(const std::vector<int32_t>& units) const {
  std::map<std::pair<size_t, size_t>, int64_t> sums;
  for (const int32_t unit : units) {
    for (const Share& share : shares_[at_index(unit)])
      sums[{share.parameter, share.dimension}] += share.positions;
  }
  std::vector<Share> shares;
  for (const auto& [place, positions] : sums)
    shares.push_back({place.first, place.second, positions});
  return shares;
}

Selection smallest_selection(const UnitMap& map) {
  Selection kept;
  for (const Unit& unit : map.units)
    kept.push_back(unit.pinned);
  const auto is_kept = [&](int32_t unit) { return kept[at_index(unit)]; };
  const auto channels = [&](int32_t unit) { return map.unit(unit).members.size(); };
  // A unit of a part of a layer fills the layer's span too, so parts come first.
  std::vector<size_t> order = empty_spans(map, kept);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return map.spans[a].size() < map.spans[b].size(); });
  for (const size_t s : order) {
    const std::vector<int32_t>& span = map.spans[s];
    if (std::any_of(span.begin(), span.end(), is_kept)) continue;
    const int32_t least =
        *std::min_element(span.begin(), span.end(), [&](int32_t a, int32_t b) { return channels(a) < channels(b); });
    kept[at_index(least)] = true;
  }
  return kept;
}

Selection compress(const ParameterCount& count, const UnitMap& map, const std::vector<Cluster>& clusters,
                   const at::Tensor& scores, const std::vector<int64_t>& outputs, const CompressParams& params) {
  if (params.allocation == Allocation::uniform)
    return compress_uniformly(count, map, clusters, scores, outputs, params.parameters);
  const at::Tensor column = own_contributions(scores, outputs, params.own);
  Selection kept = Compressor(count, map, clusters, column.data_ptr<double>(), params).run();
  if (count(kept) <= params.parameters) return kept;
  return compress_units(count, map, clusters, column.data_ptr<double>(), params, kept);
}

}  // namespace incite
