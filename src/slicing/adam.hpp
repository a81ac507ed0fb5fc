#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace incite {

/// Adam (Kingma and Ba, 2015) with PyTorch's defaults, all weights in one call: with small networks most of the time of
/// torch::optim::Adam goes into its many short operations.
class Adam {
 public:
  /// `weights`: leaves that need gradients.
  explicit Adam(const std::vector<at::Tensor>& weights);

  /// A step along the gradients that the weights hold, which are then cleared. Weights without one stay.
  void step(double learning_rate);

 private:
  std::vector<at::Tensor> weights_, means_, squares_, steps_;
};

}  // namespace incite
