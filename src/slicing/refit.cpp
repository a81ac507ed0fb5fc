#include "slicing/refit.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace incite {
namespace {

constexpr int64_t enough_channels = 64;  // to choose a ridge by

/// What changes the biases alone, so that each channel's mean becomes the original's.
at::Tensor to_the_means(const Moments& moments, const at::Tensor& start) {
  at::Tensor change = at::zeros_like(start);
  const at::Tensor ones = moments.gram[moments.gram.size(0) - 1];  // sums of what the layer reads
  change[change.size(0) - 1] =
      (moments.sums - ones.unsqueeze(0).matmul(start).squeeze(0)) / static_cast<double>(moments.rows);
  return change;
}

/// The ridge that does best on the validation rows when weights are fitted to the others; none where none beats the
/// start there. Without validation rows the first. Some channels speak for all.
std::optional<double> best_ridge(const Fit& fit, const at::Tensor& start, bool has_bias,
                                 const std::vector<double>& ridges) {
  if (fit.validation.rows == 0) return ridges.front();
  const int64_t step = std::max<int64_t>(1, start.size(1) / enough_channels);
  const at::Tensor some = start.slice(1, 0, std::nullopt, step);
  const Moments fitted = fit.train.every(step), others = fit.validation.every(step);
  const LeastSquares train(fitted, some), validation(others, some);
  double least = validation.error();
  std::optional<double> best;
  for (const double ridge : ridges) {
    const at::Tensor change = train.change(ridge, has_bias);
    if (!change.defined()) continue;
    const double error = validation.error(change);
    if (error >= least) continue;
    least = error;
    best = ridge;
  }
  return best;
}

}  // namespace

std::optional<at::Tensor> refitted(Fit& fit, const at::Tensor& start, bool has_bias, const RepairParams& params) {
  std::optional<double> ridge;
  if (params.method == RepairMethod::least_squares) {
    ridge = best_ridge(fit, start, has_bias, params.ridges);
    if (!ridge) return std::nullopt;
  }
  Moments& all = fit.train;
  all.add(fit.validation);
  const LeastSquares problem(all, start);
  const at::Tensor change = ridge ? problem.change(*ridge, has_bias) : to_the_means(all, start);
  if (!change.defined() || !(problem.error(change) < problem.error())) return std::nullopt;
  return start + change;
}

}  // namespace incite
