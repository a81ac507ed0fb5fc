#include "units/one_head.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "program/executor.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::program_from;
using test::random_normal;

/// Two pointwise convolutions, `a` of x and `b` of more channels, and what is made of them.
Program two_heads(const std::string& result, bool bias = true, int64_t kernel = 1) {
  const std::string padding = kernel == 1 ? "" : ", padding=1";
  const auto convolution = [&](const std::string& name) {
    return "torch.conv2d(" + std::string(name == "a" ? "x" : "torch.cat([x, x * x], 1)") + ", self." + name +
           ".weight, " + (bias ? "self." + name + ".bias" : "None") + padding + ")";
  };
  test::Parameters parameters = {{"a.weight", random_normal({3, 2, kernel, kernel}, 1)},
                                 {"b.weight", random_normal({3, 4, kernel, kernel}, 2)}};
  if (bias) {
    parameters.emplace("a.bias", random_normal({3}, 3));
    parameters.emplace("b.bias", random_normal({3}, 4));
  }
  return program_from("def forward(self, x):\n    a = " + convolution("a") + "\n    b = " + convolution("b") +
                          "\n    return " + result + "\n",
                      parameters, random_normal({2, 2, 4, 4}, 5));
}

int64_t convolutions_of(const Program& program) {
  return std::count_if(program.nodes.begin(), program.nodes.end(),
                       [](const Node& node) { return node.op == "aten::conv2d"; });
}

TEST(OneHead, IsTheSameFunctionAsTheSumOfTwo) {
  const at::Tensor input = random_normal({3, 2, 4, 4}, 6);
  for (const std::string result : {"a + b", "torch.softmax(a + b, 1)", "torch.flatten(b + a, 2)",
                                   "torch.upsample_bilinear2d(a + b, [8, 8], False)"}) {
    for (const bool bias : {true, false}) {
      const Program before = two_heads(result, bias);
      const Program after = with_one_head(before);
      EXPECT_EQ(convolutions_of(before), 2);
      EXPECT_EQ(convolutions_of(after), 1) << result;
      EXPECT_TRUE(at::allclose(Executor(after)(input), Executor(before)(input), 1e-5, 1e-5)) << result;
      EXPECT_EQ(before.parameter_count() - after.parameter_count(), bias ? 3 : 0);
    }
  }
}

TEST(OneHead, LeavesEverythingElseAsItIs) {
  for (const std::string result : {"a - b", "a * b", "torch.relu(a + b)", "torch.add(a, b, alpha=2)", "a + b + a", "a"})
    EXPECT_EQ(with_one_head(two_heads(result)).nodes.size(), two_heads(result).nodes.size()) << result;
  EXPECT_EQ(convolutions_of(with_one_head(two_heads("a + b", true, 3))), 2);
}

}  // namespace
}  // namespace incite
