#include "support/random_network.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "base/random.hpp"
#include "support/random_network_builder.hpp"
#include "support/script.hpp"

namespace incite::test {
namespace {

void write_family(NetworkBuilder& b, NetworkFamily family) {
  switch (family) {
    case NetworkFamily::features:
      b.shape = b.network.input_shape = {b.between(2, 9)};
      return write_dense(b, 1);
    case NetworkFamily::images:
      return write_images(b);
    case NetworkFamily::sequences:
      b.shape = b.network.input_shape = {b.between(4, 8), b.between(6, 10)};
      return write_sequence(b);
    case NetworkFamily::recurrent:
      b.shape = b.network.input_shape = {b.between(3, 7), b.between(2, 7)};
      return write_recurrent(b);
    case NetworkFamily::tokens:
      write_embedding(b);
      return b.chance(3) ? write_recurrent(b) : write_sequence(b);
  }
}

}  // namespace

at::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed));
}

torch::jit::Module RandomNetwork::module() const {
  torch::jit::Module root = module_with(tensors);
  root.define(source);
  return root;
}

at::Tensor RandomNetwork::input(int64_t samples, uint64_t seed) const {
  std::vector<int64_t> shape = {samples};
  shape.insert(shape.end(), input_shape.begin(), input_shape.end());
  if (vocabulary == 0) return normal(shape, seed);
  return at::randint(vocabulary, shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kLong);
}

RandomNetwork random_network(uint64_t seed, NetworkFamily family) {
  // Few draws are without a signal at the end; they are drawn again.
  for (uint64_t attempt = 0;; ++attempt) {
    NetworkBuilder b(derive_seed(seed, fmt::format("attempt {}", attempt)));
    write_family(b, family);
    if (b.finish()) return std::move(b.network);
  }
}

RandomNetwork random_network(uint64_t seed) {
  const uint64_t draw = Random(derive_seed(seed, "family")).below(20);
  if (draw < 1) return random_network(seed, NetworkFamily::features);
  if (draw < 11) return random_network(seed, NetworkFamily::images);
  if (draw < 15) return random_network(seed, NetworkFamily::sequences);
  if (draw < 17) return random_network(seed, NetworkFamily::recurrent);
  return random_network(seed, NetworkFamily::tokens);
}

std::vector<std::string> random_network_parts() {
  std::vector<std::string> names = {"end without", "end softmax", "end log_softmax", "end sigmoid", "convolution head"};
  for (const Parts* parts :
       {&activation_parts(), &convolution_parts(), &channel_parts(), &block_parts(), &flatten_parts(), &dense_parts(),
        &sequence_parts(), &projection_parts(), &attention_parts(), &token_pool_parts(), &cell_parts(),
        &recurrent_layer_parts(), &recurrent_pool_parts(), &embedding_parts()}) {
    for (const Part& part : *parts)
      names.emplace_back(part.name);
  }
  return names;
}

}  // namespace incite::test
