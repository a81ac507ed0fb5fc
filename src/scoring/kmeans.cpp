#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "scoring/clustering.hpp"
#include "scoring/partition.hpp"

namespace incite {

namespace {

constexpr int64_t kMaxMatrixPoints = 8192;  // 512 MiB of distances

/// Each point's nearest center, and how far away it is.
struct Nearest {
  std::vector<int64_t> center;
  std::vector<double> distance;  // squared

  double inertia() const { return std::accumulate(distance.begin(), distance.end(), 0.0); }
};

void append(Nearest& nearest, const at::Tensor& center, const at::Tensor& squared) {
  const at::Tensor distance = squared.clamp_min(0).contiguous();  // rounding gives -1e-16
  const int64_t* const center_data = center.const_data_ptr<int64_t>();
  const double* const distance_data = distance.const_data_ptr<double>();
  nearest.center.insert(nearest.center.end(), center_data, center_data + center.numel());
  nearest.distance.insert(nearest.distance.end(), distance_data, distance_data + distance.numel());
}

/// The squared distances that k-means asks for. Of equally near centers one is taken, always the same.
class Distances {
 public:
  Distances() = default;
  virtual ~Distances() = default;
  Distances(const Distances&) = delete;
  Distances& operator=(const Distances&) = delete;

  /// Of all points to one of them.
  virtual std::vector<double> to_point(int64_t point) const = 0;
  /// The nearest mean of the k clusters, none of them empty.
  virtual Nearest to_means(const std::vector<int64_t>& assignment, int64_t k) const = 0;
};

/// From the features: O(points · features · k) for each iteration.
class FeatureDistances : public Distances {
 public:
  explicit FeatureDistances(const CenteredPoints& points) : points_(points) {}

  std::vector<double> to_point(int64_t point) const override { return nearest_of(points_.rows(point, 1)).distance; }
  Nearest to_means(const std::vector<int64_t>& assignment, int64_t k) const override {
    return nearest_of(cluster_means(points_, assignment, k));
  }

 private:
  Nearest nearest_of(const at::Tensor& centers) const {
    Nearest nearest;
    const at::Tensor center_norms = centers.square().sum(1);
    points_.each_block([&](int64_t /*first*/, const at::Tensor& block) {
      // |x - c|² = |x|² - 2xc + |c|², in which |x|² does not change which center is nearest.
      const auto [distance, center] = at::addmm(center_norms, block, centers.t(), 1, -2).min(1);
      append(nearest, center, distance + block.square().sum(1));
    });
    return nearest;
  }

  const CenteredPoints& points_;
};

/// From the distances of all pairs: O(points²) for each iteration, however many features and clusters. In layers of
/// many inputs that is hundreds of times less.
class MatrixDistances : public Distances {
 public:
  explicit MatrixDistances(const CenteredPoints& points) : pairs_(squared_distances(points)) {}

  std::vector<double> to_point(int64_t point) const override {
    const double* const row = pairs_.const_data_ptr<double>() + point * pairs_.size(1);
    return {row, row + pairs_.size(1)};
  }

  /// A point's squared distance to a mean is its mean squared distance to the members, less half of theirs to each
  /// other.
  Nearest to_means(const std::vector<int64_t>& assignment, int64_t k) const override {
    const at::Tensor clusters = at::tensor(assignment, at::kLong);
    const at::Tensor sizes = at::bincount(clusters, {}, k).to(at::kDouble);
    at::Tensor distance = at::zeros({k, pairs_.size(0)}, at::kDouble).index_add_(0, clusters, pairs_);
    distance.div_(sizes.unsqueeze(1));
    const at::Tensor own = distance.gather(0, clusters.unsqueeze(0))[0];
    const at::Tensor spread = at::bincount(clusters, own, k) / (sizes * 2);
    const auto [least, center] = distance.sub_(spread.unsqueeze(1)).min(0);
    Nearest nearest;
    append(nearest, center, least);
    return nearest;
  }

 private:
  at::Tensor pairs_;  // float64 [points, points]
};

std::unique_ptr<Distances> make_distances(const CenteredPoints& points, int64_t k) {
  const bool fewer = points.count() / k <= points.features();
  if (fewer && points.count() <= kMaxMatrixPoints) return std::make_unique<MatrixDistances>(points);
  return std::make_unique<FeatureDistances>(points);
}

/// Draws a point with probability proportional to its weight; points of weight 0 never, unless all are 0.
int64_t draw(const std::vector<double>& weights, Random& random) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  // More clusters than distinct points: which duplicate is taken makes no difference, an empty cluster is refilled.
  if (total <= 0) return static_cast<int64_t>(random.below(weights.size()));
  double left = random.uniform() * total;
  std::size_t last = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last = i;
    left -= weights[i];
    if (left < 0) break;
  }
  return static_cast<int64_t>(last);  // where rounding leaves a rest, the last one that may be drawn
}

/// k-means++: the first center is any point, each other one is the likelier the farther (squared) from those there are.
Nearest draw_centers(const Distances& distances, int64_t count, int64_t k, Random& random) {
  auto point = static_cast<int64_t>(random.below(static_cast<uint64_t>(count)));
  Nearest nearest;
  nearest.center.assign(static_cast<std::size_t>(count), 0);
  nearest.distance.assign(static_cast<std::size_t>(count), std::numeric_limits<double>::infinity());
  for (int64_t cluster = 0; cluster < k; ++cluster) {
    if (cluster > 0) point = draw(nearest.distance, random);
    std::vector<double> distance = distances.to_point(point);
    distance[static_cast<std::size_t>(point)] = 0;  // not 1e-16: it must not be drawn again
    for (std::size_t i = 0; i < distance.size(); ++i) {
      if (distance[i] >= nearest.distance[i]) continue;
      nearest.distance[i] = distance[i];
      nearest.center[i] = cluster;
    }
  }
  return nearest;
}

/// Gives each empty cluster the point farthest from its center, of those that are not alone in their cluster.
void refill_empty(Nearest& nearest, int64_t k) {
  std::vector<int64_t> sizes(static_cast<std::size_t>(k), 0);
  for (const int64_t center : nearest.center)
    ++sizes[static_cast<std::size_t>(center)];
  for (int64_t empty = 0; empty < k; ++empty) {
    if (sizes[static_cast<std::size_t>(empty)] > 0) continue;
    std::size_t farthest = nearest.center.size();
    for (std::size_t i = 0; i < nearest.center.size(); ++i) {
      if (sizes[static_cast<std::size_t>(nearest.center[i])] < 2) continue;
      if (farthest == nearest.center.size() || nearest.distance[i] > nearest.distance[farthest]) farthest = i;
    }
    INCITE_ASSERT(farthest < nearest.center.size());  // k points or more, and an empty cluster: some cluster has two
    --sizes[static_cast<std::size_t>(nearest.center[farthest])];
    ++sizes[static_cast<std::size_t>(empty)];
    nearest.center[farthest] = empty;
    nearest.distance[farthest] = 0;
  }
}

/// One start and its Lloyd iterations.
Clustering run_once(const CenteredPoints& points, const Distances& distances, const KMeansParams& params,
                    Random& random) {
  Nearest nearest = draw_centers(distances, points.count(), params.k, random);
  refill_empty(nearest, params.k);
  for (int64_t iteration = 0; iteration < params.max_iterations; ++iteration) {
    const double before = nearest.inertia();
    nearest = distances.to_means(nearest.center, params.k);
    refill_empty(nearest, params.k);
    if (before - nearest.inertia() <= params.tolerance * before) break;
  }
  return make_clustering(points, std::move(nearest.center), params.k);
}

}  // namespace

Clustering kmeans(const at::Tensor& points, const KMeansParams& params) {
  check_points(points, params.k, "k-means");
  INCITE_ASSERT(params.restarts >= 1 && params.max_iterations >= 1 && params.tolerance >= 0);
  const CenteredPoints centered(points);
  const std::unique_ptr<Distances> distances = make_distances(centered, params.k);
  Random random(params.seed);
  Clustering best;
  for (int64_t restart = 0; restart < params.restarts; ++restart) {
    Clustering result = run_once(centered, *distances, params, random);
    if (!best.assignment.defined() || result.inertia < best.inertia) best = std::move(result);
  }
  return best;
}

}  // namespace incite
