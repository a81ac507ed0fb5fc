// The generator of random networks itself: that each network is a model of which the properties can be asked.

#include "support/random_network.hpp"

#include <gtest/gtest.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <map>

namespace incite::test {
namespace {

constexpr uint64_t seeds = 300;

template <typename Check>
void for_each_network(Check&& check) {
  const at::NoGradGuard no_grad;
  const torch::jit::GraphOptimizerEnabledGuard slow_first_runs(false);
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    const RandomNetwork network = random_network(seed);
    SCOPED_TRACE(::testing::Message() << "seed " << seed << "\n" << network.source);
    check(seed, network);
    if (::testing::Test::HasFailure()) return;
  }
}

double difference(const at::Tensor& found, const at::Tensor& expected) {
  if (found.sizes() != expected.sizes()) return INFINITY;
  return (found - expected).abs().max().item<double>() / std::max(expected.abs().max().item<double>(), 1.0);
}

TEST(RandomNetworkGenerator, NetworksTreatSamplesIndependently) {
  for_each_network([](uint64_t seed, const RandomNetwork& network) {
    torch::jit::Module module = network.module();
    const at::Tensor input = network.input(7, seed + 100);
    const at::Tensor original = input.clone();
    const at::Tensor output = module.forward({input}).toTensor();
    EXPECT_EQ(output.sizes(), at::IntArrayRef({7, network.outputs}));
    for (const int64_t samples : {1, 2, 3}) {
      for (int64_t from = 0; from + samples <= 7; from += samples) {
        const at::Tensor part = module.forward({input.narrow(0, from, samples)}).toTensor();
        EXPECT_LE(difference(part, output.narrow(0, from, samples)), 1e-5) << samples << " samples from " << from;
      }
    }
    EXPECT_TRUE(input.equal(original)) << "the input was changed in place";
  });
}

TEST(RandomNetworkGenerator, OutputsVaryWithTheSample) {
  for_each_network([](uint64_t seed, const RandomNetwork& network) {
    const at::Tensor output = network.module().forward({network.input(50, seed + 200)}).toTensor();
    EXPECT_TRUE(output.isfinite().all().item<bool>());
    const at::Tensor deviation = output.std(0);
    EXPECT_GE(deviation.min().item<double>(), 0.02) << deviation;
    EXPECT_LE(deviation.max().item<double>(), 20) << deviation;
  });
}

TEST(RandomNetworkGenerator, SeedsGiveTheSameNetworkEveryTime) {
  for (const uint64_t seed : {0, 1, 2, 3, 4}) {
    const RandomNetwork first = random_network(seed);
    const RandomNetwork second = random_network(seed);
    EXPECT_EQ(first.source, second.source);
    ASSERT_EQ(first.tensors.size(), second.tensors.size());
    for (const auto& [name, tensor] : first.tensors)
      EXPECT_TRUE(tensor.equal(second.tensors.at(name))) << name;
  }
}

TEST(RandomNetworkGenerator, FamiliesReadTheirKindOfInput) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    EXPECT_EQ(random_network(seed, NetworkFamily::features).input_shape.size(), 1U);
    EXPECT_GE(random_network(seed, NetworkFamily::images).input_shape.size(), 2U);
    EXPECT_EQ(random_network(seed, NetworkFamily::sequences).input_shape.size(), 2U);
    EXPECT_EQ(random_network(seed, NetworkFamily::recurrent).input_shape.size(), 2U);
    const RandomNetwork tokens = random_network(seed, NetworkFamily::tokens);
    EXPECT_EQ(tokens.input_shape.size(), 1U);
    EXPECT_EQ(tokens.input(2, seed).scalar_type(), at::kLong);
    EXPECT_LT(tokens.input(50, seed).max().item<int64_t>(), tokens.vocabulary);
  }
}

TEST(RandomNetworkGenerator, EveryPartOccurs) {
  std::map<std::string, int64_t> counts;
  for (const std::string& name : random_network_parts())
    counts[name] = 0;
  const size_t known = counts.size();
  for (uint64_t seed = 0; seed < 500; ++seed) {
    for (const std::string& name : random_network(seed).parts)
      ++counts[name];
  }
  EXPECT_EQ(counts.size(), known) << "a part that random_network_parts() does not name";
  for (const auto& [name, count] : counts)
    EXPECT_GE(count, 3) << name;
}

}  // namespace
}  // namespace incite::test
