#include "slicing/adam.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>

#include "support/random_normal.hpp"

namespace incite {
namespace {

TEST(Adam, StepsAsPyTorchsDoes) {
  const at::Tensor start = test::random_normal({3, 4}, 1);
  const auto train = [&](const auto& step) {
    const at::Tensor weight = start.clone().set_requires_grad(true);
    const at::Tensor unused = start.clone().set_requires_grad(true);
    step(std::vector{weight, unused});
    EXPECT_TRUE(unused.equal(start));
    return weight.detach();
  };
  const auto loss = [](const at::Tensor& weight) { return (weight - 1).square().sum(); };
  const at::Tensor expected = train([&](const std::vector<at::Tensor>& weights) {
    torch::optim::Adam adam(weights, torch::optim::AdamOptions(0.1));
    for (int64_t i = 0; i < 20; ++i) {
      adam.zero_grad();
      loss(weights.front()).backward();
      adam.step();
    }
  });
  const at::Tensor found = train([&](const std::vector<at::Tensor>& weights) {
    Adam adam(weights);
    for (int64_t i = 0; i < 20; ++i) {
      loss(weights.front()).backward();
      adam.step(0.1);
    }
    EXPECT_FALSE(weights.front().grad().defined());
  });
  EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-6)) << found << expected;
  EXPECT_FALSE(at::allclose(found, start, 0.1));
}

}  // namespace
}  // namespace incite
