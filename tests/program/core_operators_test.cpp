#include "program/core_operators.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program/executor.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

/// The operators of a program, and whether it gives what PyTorch gives.
std::vector<std::string> core_operators_of(const std::string& source, const at::Tensor& x, const at::Tensor& expected) {
  const Program program = test::program_from(source,
                                             {{"w", at::linspace(1, 2, 4)},
                                              {"b", at::linspace(0, 1, 4)},
                                              {"running_mean", at::linspace(0, 1, 4)},
                                              {"running_var", at::linspace(1, 3, 4)}},
                                             x);
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(Executor(program)(x), expected));
  std::vector<std::string> ops;
  for (const Node& node : program.nodes)
    ops.push_back(node.op);
  return ops;
}

TEST(LowerCoreOperators, MakesBatchNormsAgain) {
  const at::Tensor x = at::arange(12, at::kFloat).view({3, 4}).sin();
  const auto ops = core_operators_of(
      "def forward(self, x):\n"
      "  return torch._native_batch_norm_legit_no_training(x, self.w, self.b, self.running_mean, self.running_var, "
      "0.1, 1e-5)[0]\n",
      x,
      at::batch_norm(x, at::linspace(1, 2, 4), at::linspace(0, 1, 4), at::linspace(0, 1, 4), at::linspace(1, 3, 4),
                     false, 0.1, 1e-5, false));
  EXPECT_THAT(ops, testing::ElementsAre("aten::batch_norm"));
}

TEST(LowerCoreOperators, MakesLayerNormsAndSoftmaxAgain) {
  const at::Tensor x = at::arange(12, at::kFloat).view({3, 4}).sin();
  const auto ops = core_operators_of(
      "def forward(self, x):\n"
      "  return torch._softmax(torch.native_layer_norm(x, [4], self.w, self.b, 1e-5)[0], 1, False)\n",
      x, at::softmax(at::layer_norm(x, {4}, at::linspace(1, 2, 4), at::linspace(0, 1, 4)), 1));
  EXPECT_THAT(ops, testing::ElementsAre("aten::layer_norm", "aten::softmax"));
}

TEST(LowerCoreOperators, KeepsANodeWhoseOtherOutputsAreUsed) {
  const at::Tensor x = at::arange(12, at::kFloat).view({3, 4}).sin();
  const auto [normed, mean, deviation] = at::native_layer_norm(x, {4}, {}, {}, 1e-5);
  const auto ops = core_operators_of(
      "def forward(self, x):\n  y, mean, _ = torch.native_layer_norm(x, [4], None, None, 1e-5)\n  return y + mean\n", x,
      normed + mean);
  EXPECT_THAT(ops, testing::Contains("aten::native_layer_norm"));
}

}  // namespace
}  // namespace incite
