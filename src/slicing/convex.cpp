#include "slicing/convex.hpp"

#include <ATen/ATen.h>
#include <torch/optim/lbfgs.h>

#include "base/workers.hpp"

namespace incite {
namespace {

constexpr int64_t most_to_turn = 1024;  // features

}  // namespace

at::Tensor Standardised::turned_row(const at::Tensor& row) const {
  return turn.defined() ? at::linalg_solve(turn, row) : row;
}

at::Tensor Standardised::apply(const at::Tensor& features) const {
  const at::Tensor standard = (features.to(at::kDouble) - mean) / deviation;
  return turn.defined() ? standard.matmul(turn) : standard;
}

Standardised standardise(const at::Tensor& features, bool centre) {
  Standardised s;
  s.turned = features.to(at::kDouble);
  s.mean = centre ? s.turned.mean(0) : at::zeros({features.size(1)}, s.turned.options());
  s.turned = s.turned - s.mean;
  s.deviation = s.turned.square().mean(0).sqrt();
  s.deviation = at::where(s.deviation > 1e-12, s.deviation, at::ones_like(s.deviation));
  s.turned.div_(s.deviation);
  if (features.size(1) > most_to_turn) return s;
  const auto [variances, directions] =
      at::linalg_eigh(s.turned.t().matmul(s.turned) / static_cast<double>(features.size(0)));
  const at::Tensor least = 1e-6 * variances.max().clamp_min(1e-12);
  s.turn = directions / variances.clamp_min(0).add(least).sqrt();
  s.turned = s.turned.matmul(s.turn);
  return s;
}

Head unstandardise(const at::Tensor& row, const at::Tensor& offset, const Standardised& s) {
  Head head;
  head.weight = s.row(row) / s.deviation;
  head.bias = offset - (head.weight * s.mean).sum();
  return head;
}

void minimise(const std::vector<at::Tensor>& parameters, int64_t iterations, const std::function<at::Tensor()>& loss) {
  const OneThread alone;  // thousands of short operations: each would wait for threads that other work has taken
  const at::AutoGradMode gradients(true);
  torch::optim::LBFGS optimiser(parameters, torch::optim::LBFGSOptions(1.0)
                                                .max_iter(iterations)
                                                .max_eval(iterations * 5 / 4)
                                                .tolerance_grad(1e-8)
                                                .tolerance_change(1e-11)
                                                .history_size(20)
                                                .line_search_fn("strong_wolfe"));
  optimiser.step([&] {
    optimiser.zero_grad();
    at::Tensor value = loss();
    value.backward();
    return value;
  });
}

at::Tensor variable(const at::Tensor& start) {
  return start.detach().clone().set_requires_grad(true);
}

at::Tensor signs(const at::Tensor& positive) {
  return at::where(positive, at::full({}, 1.0, at::kDouble), at::full({}, -1.0, at::kDouble));
}

at::Tensor balancing_weights(const at::Tensor& positive) {
  const at::Tensor positives = positive.sum(0).to(at::kDouble);
  const at::Tensor negatives = static_cast<double>(positive.size(0)) - positives;
  return at::where(positive, 0.5 / positives.clamp_min(1), 0.5 / negatives.clamp_min(1));
}

Head two_rows(const Head& head, OutputKind kind, bool has_bias) {
  const double share = kind == OutputKind::sigmoid ? 1.0 : 0.5;
  Head rows;
  rows.weight = at::stack({-share * head.weight, share * head.weight}).to(at::kFloat);
  if (has_bias) rows.bias = at::stack({-share * head.bias, share * head.bias}).to(at::kFloat);
  return rows;
}

}  // namespace incite
