#include "slicing/least_squares.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/batch.hpp"

namespace incite {
namespace {

constexpr int64_t block = 256;  // features

/// Adds xᵀ x: the blocks on the diagonal and below it, and their mirror images.
void add_products(at::Tensor& gram, const at::Tensor& x) {
  const at::Tensor turned = x.t();
  in_batches(x.size(1), block, [&](int64_t first, int64_t count) {
    const int64_t end = first + count;
    at::Tensor rows = gram.narrow(0, first, count).narrow(1, 0, end);
    rows.addmm_(turned.narrow(0, first, count), x.narrow(1, 0, end));
    gram.narrow(1, first, count).narrow(0, 0, first).copy_(rows.narrow(1, 0, first).t());
  });
}

}  // namespace

void Moments::add(const at::Tensor& x, const at::Tensor& z) {
  const at::Tensor inputs = x.to(at::kDouble);
  const at::Tensor targets = z.to(at::kDouble);
  if (rows == 0) {
    gram = at::zeros({inputs.size(1), inputs.size(1)}, inputs.options());
    cross = at::zeros({inputs.size(1), targets.size(1)}, inputs.options());
    squares = at::zeros({targets.size(1)}, inputs.options());
    sums = at::zeros({targets.size(1)}, inputs.options());
  }
  add_products(gram, inputs);
  cross.addmm_(inputs.t(), targets);
  squares.add_(targets.square().sum(0));
  sums.add_(targets.sum(0));
  rows += inputs.size(0);
}

void Moments::add(const Moments& other) {
  if (other.rows == 0) return;
  if (rows == 0) {
    *this = {other.gram.clone(), other.cross.clone(), other.squares.clone(), other.sums.clone(), other.rows};
    return;
  }
  gram.add_(other.gram);
  cross.add_(other.cross);
  squares.add_(other.squares);
  sums.add_(other.sums);
  rows += other.rows;
}

Moments Moments::every(int64_t step) const {
  return {gram, cross.slice(1, 0, std::nullopt, step), squares.slice(0, 0, std::nullopt, step),
          sums.slice(0, 0, std::nullopt, step), rows};
}

LeastSquares::LeastSquares(const Moments& moments, const at::Tensor& start) : moments_(moments) {
  missing_ = moments.cross - moments.gram.matmul(start);
  squares_ = moments.squares - (start * (moments.cross + missing_)).sum(0);
}

at::Tensor LeastSquares::change(double ridge, bool has_bias) const {
  const int64_t features = missing_.size(0) - (has_bias ? 1 : 0);
  at::Tensor weight = at::full({missing_.size(0)}, ridge, missing_.options());
  weight.mul_(moments_.gram.diagonal().narrow(0, 0, features).mean().clamp_min(1e-30));
  if (has_bias) weight[features] = 1e-12 * static_cast<double>(moments_.rows);
  const auto [factor, info] = at::linalg_cholesky_ex(moments_.gram + weight.diag());
  if (info.item<int32_t>() != 0) return {};
  return at::cholesky_solve(missing_, factor);
}

double LeastSquares::error(const at::Tensor& change) const {
  at::Tensor square = squares_;
  if (change.defined()) square = square + (change * (moments_.gram.matmul(change) - 2 * missing_)).sum(0);
  const at::Tensor variance = moments_.squares - moments_.sums.square() / static_cast<double>(moments_.rows);
  return square.clamp_min(0).sum().item<double>() / std::max(variance.sum().item<double>(), 1e-30);
}

}  // namespace incite
