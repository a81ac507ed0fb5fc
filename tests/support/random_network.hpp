#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace incite::test {

/// A small network with random weights, made from the parts that plain feed-forward networks have, and some that incite
/// does not know.
struct RandomNetwork {
  std::string source;                         ///< its forward, in TorchScript
  std::map<std::string, at::Tensor> tensors;  ///< "conv0.weight": …; running statistics are buffers
  std::vector<int64_t> input_shape;           ///< of one sample
  int64_t outputs = 0;

  torch::jit::Module module() const;
  /// Samples with values of unit variance, by seed.
  at::Tensor input(int64_t samples, uint64_t seed) const;
};

RandomNetwork random_network(uint64_t seed);

/// A tensor of normal values by seed.
at::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed);

}  // namespace incite::test
