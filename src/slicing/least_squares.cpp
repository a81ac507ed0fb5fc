#include "least_squares.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace incite {

void Moments::add(const at::Tensor& x, const at::Tensor& z) {
  const at::Tensor inputs = x.to(at::kDouble);
  const at::Tensor targets = z.to(at::kDouble);
  if (rows == 0) {
    gram = at::zeros({inputs.size(1), inputs.size(1)}, inputs.options());
    cross = at::zeros({inputs.size(1), targets.size(1)}, inputs.options());
    squares = at::zeros({targets.size(1)}, inputs.options());
    sums = at::zeros({targets.size(1)}, inputs.options());
  }
  gram.addmm_(inputs.t(), inputs);
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

double Moments::error(const at::Tensor& weights) const {
  const at::Tensor square = (weights * gram.matmul(weights)).sum(0) - 2 * (weights * cross).sum(0) + squares;
  const at::Tensor variance = squares - sums.square() / static_cast<double>(rows);
  return square.clamp_min(0).sum().item<double>() / std::max(variance.sum().item<double>(), 1e-30);
}

at::Tensor ridge_least_squares(const Moments& moments, const at::Tensor& start, double ridge, bool has_bias) {
  const int64_t features = start.size(0) - (has_bias ? 1 : 0);
  at::Tensor weight = at::full({start.size(0)}, ridge, start.options());
  weight.mul_(moments.gram.diagonal().narrow(0, 0, features).mean().clamp_min(1e-30));
  if (has_bias) weight[features] = 1e-12 * static_cast<double>(moments.rows);
  const auto [factor, info] = at::linalg_cholesky_ex(moments.gram + weight.diag());
  if (info.item<int32_t>() != 0) return {};
  return start + at::cholesky_solve(moments.cross - moments.gram.matmul(start), factor);
}

}  // namespace incite
