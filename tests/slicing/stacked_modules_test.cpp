#include "slicing/stacked_modules.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/script.hpp"

namespace incite {
namespace {

const char* const residual_source = R"(
def forward(self, x):
    x = torch.conv2d(x, self.a.weight, None, [1, 1], [1, 1])
    x = torch.relu(torch.batch_norm(x, self.n.weight, self.n.bias, self.n.running_mean, self.n.running_var, False, 0.1, 1e-5, False))
    y = torch.sigmoid(torch.conv2d(x, self.b.weight, self.b.bias, [1, 1], [1, 1]))
    x = torch.max_pool2d(x + torch.conv2d(y, self.c.weight, self.c.bias), [2, 2])
    x = torch.tanh(torch.linear(torch.flatten(x, 1), self.d.weight, self.d.bias))
    return torch.linear(x, self.e.weight, self.e.bias)
)";

/// A module with so many channels outside and inside its residual block, and so many hidden units.
Program residual_module(int64_t outer, int64_t inner, int64_t hidden, const at::Tensor& x) {
  const test::Parameters parameters = {{"a.weight", at::randn({outer, 2, 3, 3})},
                                       {"n.weight", at::rand({outer}) + 0.5},
                                       {"n.bias", at::randn({outer})},
                                       {"n.running_mean", at::randn({outer})},
                                       {"n.running_var", at::rand({outer}) + 0.5},
                                       {"b.weight", at::randn({inner, outer, 3, 3})},
                                       {"b.bias", at::randn({inner})},
                                       {"c.weight", at::randn({outer, inner, 1, 1})},
                                       {"c.bias", at::randn({outer})},
                                       {"d.weight", at::randn({hidden, outer * 16}) * 0.2},
                                       {"d.bias", at::randn({hidden})},
                                       {"e.weight", at::randn({2, hidden})},
                                       {"e.bias", at::randn({2})}};
  return test::program_from(residual_source, parameters, x);
}

std::vector<const Program*> pointers_to(const std::vector<Program>& modules) {
  std::vector<const Program*> pointers;
  for (const Program& module : modules)
    pointers.push_back(&module);
  return pointers;
}

/// Makes parameters learn; returns them.
std::vector<at::Tensor> learning(std::vector<Program>& modules) {
  std::vector<at::Tensor> weights;
  for (Program& module : modules) {
    for (Value& value : module.values) {
      if (value.kind != Value::Kind::parameter || value.is_buffer) continue;
      value.content = value.content.toTensor().clone().set_requires_grad(true);
      weights.push_back(value.content.toTensor());
    }
  }
  return weights;
}

class StackedModulesOf : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(3); }
  const at::Tensor x_ = at::rand({6, 2, 8, 8});
};

TEST_F(StackedModulesOf, DifferentWidthsGiveWhatEachGivesAloneWithItsGradients) {
  std::vector<Program> modules;
  modules.push_back(residual_module(5, 3, 4, x_));
  modules.push_back(residual_module(2, 4, 7, x_));
  modules.push_back(residual_module(3, 1, 2, x_));
  const std::vector<at::Tensor> weights = learning(modules);
  const auto stacked = StackedModules::of(pointers_to(modules), x_);
  ASSERT_NE(stacked, nullptr);
  const std::vector<at::Tensor> found = (*stacked)(x_);
  std::vector<at::Tensor> gradients;
  for (size_t m = 0; m < modules.size(); ++m)
    found[m].mul(static_cast<double>(m) + 1).square().sum().backward({}, /*retain_graph=*/true);
  for (const at::Tensor& weight : weights) {
    gradients.push_back(weight.grad().clone());
    weight.mutable_grad() = at::Tensor();
  }
  for (size_t m = 0; m < modules.size(); ++m) {
    const at::Tensor expected = Executor(modules[m])(x_);
    EXPECT_TRUE(at::allclose(found[m], expected, 1e-4, 1e-5));
    expected.mul(static_cast<double>(m) + 1).square().sum().backward();
  }
  for (size_t i = 0; i < weights.size(); ++i)
    EXPECT_TRUE(at::allclose(gradients[i], weights[i].grad(), 1e-3, 1e-3)) << i;
}

TEST_F(StackedModulesOf, ModulesWithConvolutionsOfSingleChannels) {
  const std::string source = R"(
def forward(self, x):
    x = torch.conv2d(x, self.a.weight, None)
    x = torch.conv2d(x, self.b.weight, None, [1, 1], [1, 1], [1, 1], GROUPS)
    return torch.linear(torch.hardtanh(x, 0., 6.).mean([2, 3]), self.c.weight, self.c.bias)
)";
  std::vector<Program> modules;
  for (const int64_t width : {4, 6}) {
    std::string own = source;
    own.replace(own.find("GROUPS"), 6, std::to_string(width));
    modules.push_back(test::program_from(own,
                                         {{"a.weight", at::randn({width, 2, 1, 1})},
                                          {"b.weight", at::randn({width, 1, 3, 3})},
                                          {"c.weight", at::randn({3, width})},
                                          {"c.bias", at::randn({3})}},
                                         x_));
  }
  const auto stacked = StackedModules::of(pointers_to(modules), x_);
  ASSERT_NE(stacked, nullptr);
  for (size_t m = 0; m < modules.size(); ++m)
    EXPECT_TRUE(at::allclose((*stacked)(x_)[m], Executor(modules[m])(x_), 1e-4, 1e-5));
}

TEST_F(StackedModulesOf, AnOperationThatMixesChannelsIsNotThere) {
  const std::string source = R"(
def forward(self, x):
    x = torch.linear(torch.flatten(x, 1), self.a.weight)
    x = torch.layer_norm(x, [WIDTH])
    return torch.linear(x, self.b.weight)
)";
  std::vector<Program> modules;
  for (const int64_t width : {4, 6}) {
    std::string own = source;
    own.replace(own.find("WIDTH"), 5, std::to_string(width));
    modules.push_back(
        test::program_from(own, {{"a.weight", at::randn({width, 128})}, {"b.weight", at::randn({3, width})}}, x_));
  }
  EXPECT_EQ(StackedModules::of(pointers_to(modules), x_), nullptr);
}

TEST_F(StackedModulesOf, OtherNetworksIsNotThere) {
  std::vector<Program> modules;
  modules.push_back(residual_module(5, 3, 4, x_));
  modules.push_back(test::program_from("def forward(self, x):\n    return torch.linear(x.mean([2, 3]), self.w)\n",
                                       {{"w", at::randn({3, 2})}}, x_));
  EXPECT_EQ(StackedModules::of(pointers_to(modules), x_), nullptr);
}

TEST(StackedValues, HaveRoomForTheWidest) {
  const StackedValue made = stacked({at::ones({2, 1}), at::full({2, 3}, 2.0)});
  EXPECT_EQ(made.room(), 3);
  EXPECT_EQ(made.widths, (std::vector<int64_t>{1, 3}));
  EXPECT_TRUE(made.values[0].equal(at::tensor({1.0, 0.0, 0.0, 2.0, 2.0, 2.0}, at::kFloat)));
}

}  // namespace
}  // namespace incite
