#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace incite {

/// Parameters of k-means.
struct KMeansParams {
  int64_t k = 1;         ///< clusters, 1 to the number of points
  int64_t restarts = 4;  ///< independent starts; the one with the least inertia is returned
  int64_t max_iterations = 100;
  double tolerance = 1e-6;  ///< a restart ends when the inertia falls by less than this share of itself
  uint64_t seed = 0;
};

/// A partition of points.
struct Clustering {
  at::Tensor assignment;  ///< int64 [points], CPU: each point's cluster, 0 to k - 1, numbered by first appearance; no
                          ///< cluster is empty
  int64_t k = 0;
  double inertia = 0;  ///< sum of squared distances to the clusters' means
};

/// k-means: k-means++ start (Arthur and Vassilvitskii, SODA 2007), Lloyd's iterations, empty clusters refilled with the
/// point farthest from its mean. `points` is floating [points, features]; computed in float64 blocks on the CPU. The
/// same seed gives the same clusters. Throws Error: usage if k is not in [1, points], unsupported if a point
/// is NaN or infinite (the message names the first). Up to 8192 points of many features cost O(points²) memory.
Clustering kmeans(const at::Tensor& points, const KMeansParams& params);

/// Agglomerative clustering with Ward's criterion, cut at k clusters: what scikit-learn's
/// AgglomerativeClustering(n_clusters=k) computes, which the paper's artifact uses. Nearest-neighbour chain (Murtagh,
/// 1983): O(points²) time and memory. Throws as kmeans does.
Clustering agglomerative(const at::Tensor& points, int64_t k);

}  // namespace incite
