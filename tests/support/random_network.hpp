#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace incite::test {

/// What a random network reads.
enum class NetworkFamily : uint8_t {
  features,   ///< [N, F]: linear layers
  images,     ///< [N, C, L], [N, C, H, W] or [N, C, D, H, W]: convolutional networks
  sequences,  ///< [N, T, F]: attention and multilayer perceptrons, as in transformers
  recurrent,  ///< [N, T, F]: LSTM, GRU and plain recurrent layers
  tokens,     ///< [N, T] of int64: an embedding, then the parts of sequences
};

/// A small network with random weights, made from the parts that networks have, and some that incite does not know. It
/// gives [N, outputs], each output with a standard deviation of about 1 before its softmax or sigmoid.
struct RandomNetwork {
  std::string source;                         ///< its forward, in TorchScript
  std::map<std::string, at::Tensor> tensors;  ///< "conv0.weight": …; running statistics and constants are buffers
  std::vector<int64_t> input_shape;           ///< of one sample
  int64_t vocabulary = 0;                     ///< the input holds tokens below it; 0: real numbers
  int64_t outputs = 0;
  std::vector<std::string> parts;  ///< the names of the parts, in order, as in random_network_parts()

  torch::jit::Module module() const;
  /// Samples with values of unit variance, or tokens each as likely, by seed.
  at::Tensor input(int64_t samples, uint64_t seed) const;
};

/// Of a family that the seed chooses.
RandomNetwork random_network(uint64_t seed);

RandomNetwork random_network(uint64_t seed, NetworkFamily family);

/// The names of all parts that random networks are made from.
std::vector<std::string> random_network_parts();

/// A tensor of normal values by seed.
at::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed);

}  // namespace incite::test
