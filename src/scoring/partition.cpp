#include "scoring/partition.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.hpp"

namespace incite {

namespace {

constexpr int64_t most_distances = int64_t{1} << 23;  // 64 MiB of float64

int64_t rows_per_block(const at::Tensor& points) {
  return std::max<int64_t>(1, most_distances / std::max<int64_t>(1, points.size(1)));
}

at::Tensor as_tensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

}  // namespace

void check_points(const at::Tensor& points, int64_t k, const char* method) {
  INCITE_ASSERT(points.defined() && points.dim() == 2 && points.is_floating_point());
  const int64_t count = points.size(0);
  if (k < 1 || k > count) {
    fail(ExitCode::usage,
         "{}: {} clusters of {} points; expected at least 1, and at most one per point. Change the number of clusters.",
         method, k, count);
  }
  const int64_t rows = rows_per_block(points);
  in_batches(count, rows, [&](int64_t first, int64_t size) {
    const at::Tensor finite = at::isfinite(points.narrow(0, first, size)).all(1);
    if (finite.all().item<bool>()) return;
    fail(ExitCode::unsupported,
         "{}: point {} holds NaN or an infinite value; expected finite values. Check the weights.", method,
         first + finite.logical_not().nonzero()[0].item<int64_t>());
  });
}

CenteredPoints::CenteredPoints(const at::Tensor& points)
    : points_(points.detach().cpu()), block_rows_(rows_per_block(points)) {
  mean_ = at::zeros({features()}, at::kDouble);
  at::Tensor sum = at::zeros({features()}, at::kDouble);
  each_block([&](int64_t /*first*/, const at::Tensor& block) { sum += block.sum(0); });
  mean_ = sum / static_cast<double>(std::max<int64_t>(1, count()));
}

at::Tensor CenteredPoints::rows(int64_t first, int64_t count) const {
  const at::Tensor block = points_.narrow(0, first, std::min(count, points_.size(0) - first));
  return block.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).sub_(mean_);
}

at::Tensor squared_distances(const CenteredPoints& points) {
  at::Tensor result = at::empty({points.count(), points.count()}, at::kDouble);
  const int64_t step = points.block_rows();
  for (int64_t row = 0; row < points.count(); row += step) {
    const at::Tensor a = points.rows(row, step);
    const at::Tensor a_norms = a.square().sum(1, /*keepdim=*/true);
    for (int64_t column = 0; column <= row; column += step) {
      const at::Tensor b = column == row ? a : points.rows(column, step);
      const at::Tensor block = at::addmm(b.square().sum(1), a, b.t(), 1, -2).add_(a_norms).clamp_min_(0);
      result.narrow(0, row, a.size(0)).narrow(1, column, b.size(0)).copy_(block);
      if (column != row) result.narrow(0, column, b.size(0)).narrow(1, row, a.size(0)).copy_(block.t());
    }
  }
  result.fill_diagonal_(0);
  return result;
}

at::Tensor cluster_means(const CenteredPoints& points, const std::vector<int64_t>& assignment, int64_t k) {
  const at::Tensor clusters = as_tensor(assignment);
  at::Tensor sums = at::zeros({k, points.features()}, at::kDouble);
  points.each_block([&](int64_t first, const at::Tensor& block) {
    sums.index_add_(0, clusters.narrow(0, first, block.size(0)), block);
  });
  return sums.div_(at::bincount(clusters, {}, k).to(at::kDouble).unsqueeze(1));
}

Clustering make_clustering(const CenteredPoints& points, std::vector<int64_t> assignment, int64_t k) {
  std::vector<int64_t> number(static_cast<std::size_t>(k), -1);
  int64_t numbered = 0;
  for (int64_t& cluster : assignment) {
    int64_t& renamed = number.at(static_cast<std::size_t>(cluster));
    if (renamed < 0) renamed = numbered++;
    cluster = renamed;
  }
  INCITE_ASSERT(numbered == k);

  Clustering result;
  result.assignment = as_tensor(assignment);
  result.k = k;
  const at::Tensor means = cluster_means(points, assignment, k);
  points.each_block([&](int64_t first, const at::Tensor& block) {
    const at::Tensor own = means.index_select(0, result.assignment.narrow(0, first, block.size(0)));
    result.inertia += (block - own).square_().sum().item<double>();
  });
  return result;
}

}  // namespace incite
