#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/disjoint_sets.hpp"
#include "base/fail.hpp"
#include "scoring/clustering.hpp"
#include "scoring/partition.hpp"

namespace incite {

namespace {

at::Tensor distances_of(const CenteredPoints& points) {
  try {
    return squared_distances(points);
  } catch (const c10::Error&) {
    fail(ExitCode::device,
         "agglomerative clustering: no memory for the distances of {} points. Pass --clustering kmeans.",
         points.count());
  }
}

/// Two clusters that become one. Each is named by a point in it.
struct Merge {
  std::size_t a, b;
  double height;  // twice what the merge adds to the inertia
};

/// Ward's tree by the nearest-neighbour chain. The clusters live in the rows of the distance matrix: a merged one in
/// the row of one of its two.
class WardTree {
 public:
  explicit WardTree(at::Tensor distances)
      : distances_(std::move(distances)),
        data_(distances_.mutable_data_ptr<double>()),
        count_(static_cast<std::size_t>(distances_.size(0))),
        sizes_(count_, 1) {}

  /// All merges, in the order found: not that of their heights.
  std::vector<Merge> build() {
    std::vector<Merge> merges;
    std::vector<std::size_t> chain;
    std::size_t start = 0;
    while (merges.size() + 1 < count_) {
      if (chain.empty()) {
        while (sizes_[start] == 0)
          ++start;
        chain.push_back(start);
      }
      const std::size_t top = chain.back();
      const std::size_t nearest = find_nearest(top, chain.size() > 1 ? chain[chain.size() - 2] : count_);
      if (chain.size() > 1 && nearest == chain[chain.size() - 2]) {
        chain.resize(chain.size() - 2);
        merges.push_back(merge(top, nearest));
      } else {
        chain.push_back(nearest);
      }
    }
    return merges;
  }

 private:
  /// Of equally near clusters `preferred` wins: else the chain could run in a circle.
  std::size_t find_nearest(std::size_t cluster, std::size_t preferred) const {
    const double* const row = data_ + cluster * count_;
    std::size_t nearest = preferred;
    double least = preferred < count_ ? row[preferred] : std::numeric_limits<double>::infinity();
    for (std::size_t other = 0; other < count_; ++other) {
      if (sizes_[other] == 0 || other == cluster || row[other] >= least) continue;
      nearest = other;
      least = row[other];
    }
    INCITE_ASSERT(nearest < count_);
    return nearest;
  }

  /// Puts cluster a into b's row, with the distances of Lance and Williams for Ward's criterion.
  Merge merge(std::size_t a, std::size_t b) {
    double* const row_a = data_ + a * count_;
    double* const row_b = data_ + b * count_;
    const Merge merged = {a, b, row_a[b]};
    const auto size_a = static_cast<double>(sizes_[a]);
    const auto size_b = static_cast<double>(sizes_[b]);
    for (std::size_t other = 0; other < count_; ++other) {
      if (sizes_[other] == 0 || other == a || other == b) continue;
      const auto size = static_cast<double>(sizes_[other]);
      const double sum = (size_a + size) * row_a[other] + (size_b + size) * row_b[other] - size * merged.height;
      row_b[other] = sum / (size_a + size_b + size);
      data_[other * count_ + b] = row_b[other];
    }
    sizes_[b] += sizes_[a];
    sizes_[a] = 0;
    return merged;
  }

  at::Tensor distances_;
  double* data_;
  std::size_t count_;
  std::vector<int64_t> sizes_;  // 0: no cluster lives in this row any more
};

/// Each point's cluster after the `merge_count` lowest merges, numbered 0 to k - 1.
std::vector<int64_t> cut(std::vector<Merge> merges, std::size_t merge_count, std::size_t count) {
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.height < b.height; });
  DisjointSets sets(count);
  for (std::size_t i = 0; i < merge_count; ++i)
    sets.join(static_cast<int32_t>(merges[i].a), static_cast<int32_t>(merges[i].b));

  std::vector<int64_t> number(count, -1);
  std::vector<int64_t> assignment(count);
  int64_t numbered = 0;
  for (std::size_t point = 0; point < count; ++point) {
    int64_t& cluster = number[static_cast<std::size_t>(sets.root(static_cast<int32_t>(point)))];
    if (cluster < 0) cluster = numbered++;
    assignment[point] = cluster;
  }
  return assignment;
}

}  // namespace

Clustering agglomerative(const at::Tensor& points, int64_t k) {
  check_points(points, k, "agglomerative clustering");
  const CenteredPoints centered(points);
  const auto count = static_cast<std::size_t>(points.size(0));
  const std::size_t merge_count = count - static_cast<std::size_t>(k);
  std::vector<Merge> merges;
  if (merge_count > 0 && k > 1) {
    merges = WardTree(distances_of(centered)).build();
  } else if (k == 1) {
    // One cluster, or as many as points, are the same whatever the distances.
    for (std::size_t point = 1; point < count; ++point)
      merges.push_back({point - 1, point, 0.0});
  }
  return make_clustering(centered, cut(std::move(merges), merge_count, count), k);
}

}  // namespace incite
