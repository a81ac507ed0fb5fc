#include "slicing/adam.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace incite {
namespace {

constexpr double decay_of_means = 0.9, decay_of_squares = 0.999, epsilon = 1e-8;

}  // namespace

Adam::Adam(const std::vector<at::Tensor>& weights) : weights_(weights) {
  for (const at::Tensor& weight : weights) {
    means_.push_back(at::zeros_like(weight.detach()));
    squares_.push_back(at::zeros_like(weight.detach()));
    steps_.push_back(at::zeros({}, weight.options().dtype(at::kFloat).requires_grad(false)));
  }
}

void Adam::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> weights, gradients, means, squares, steps;
  for (size_t i = 0; i < weights_.size(); ++i) {
    at::Tensor& gradient = weights_[i].mutable_grad();
    if (!gradient.defined()) continue;
    weights.push_back(weights_[i].detach());
    gradients.push_back(gradient);
    means.push_back(means_[i]);
    squares.push_back(squares_[i]);
    steps.push_back(steps_[i].add_(1));
    gradient.reset();
  }
  if (weights.empty()) return;
  at::_fused_adam_(weights, gradients, means, squares, {}, steps, learning_rate, decay_of_means, decay_of_squares,
                   /*weight_decay=*/0, epsilon, /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace incite
