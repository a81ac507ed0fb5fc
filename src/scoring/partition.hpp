#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/batch.hpp"
#include "scoring/clustering.hpp"

namespace incite {

/// Checks the points' shape and values, and that k clusters of them are possible. `method` begins the message.
void check_points(const at::Tensor& points, int64_t k, const char* method);

/// Points read block by block in float64, with the points' mean taken off: distances stay, but |x|² - 2xy + |y|² then
/// loses few digits where all points lie far from the origin. Float32 points are never copied whole.
class CenteredPoints {
 public:
  explicit CenteredPoints(const at::Tensor& points);

  int64_t count() const { return points_.size(0); }
  int64_t features() const { return points_.size(1); }
  /// Rows of a block of bounded size.
  int64_t block_rows() const { return block_rows_; }
  /// Float64 [count, features], from the point `first` on; fewer at the end.
  at::Tensor rows(int64_t first, int64_t count) const;
  /// Calls `with(first, rows)` for one block after another.
  template <typename With>
  void each_block(const With& with) const {
    in_batches(count(), block_rows_, [&](int64_t first, int64_t count) { with(first, rows(first, count)); });
  }

 private:
  at::Tensor points_;
  at::Tensor mean_;  // float64 [features]
  int64_t block_rows_;
};

/// Squared distances between all points: float64 [count, count]. Throws c10::Error where there is no memory for them.
at::Tensor squared_distances(const CenteredPoints& points);

/// Means of k clusters, none empty: float64 [k, features].
at::Tensor cluster_means(const CenteredPoints& points, const std::vector<int64_t>& assignment, int64_t k);

/// The clustering with its clusters numbered by first appearance, and its inertia. No cluster is empty.
Clustering make_clustering(const CenteredPoints& points, std::vector<int64_t> assignment, int64_t k);

}  // namespace incite
