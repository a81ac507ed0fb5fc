#include "program/pt2_sizes.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/expect_error.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

const at::Tensor three_samples = at::linspace(-1, 1, 18).view({3, 6});

Program sizes_program(const std::string& source) {
  return test::program_from(source, {{"w", at::arange(24, at::kFloat).view({4, 6}).cos()}}, three_samples);
}

TEST(SizesOfValues, AreAMultipleOfTheSamplesAndAConstant) {
  const Program program = sizes_program(
      "def forward(self, x):\n"
      "  h = torch.linear(x, self.w).view(x.size(0) * 2, 2)\n"
      "  return torch.cat([h, h[:1]])[:-1].reshape(x.size(0), 4)\n");
  const std::vector<ValueSizes> sizes = sizes_of_values(program, three_samples, "module");
  const ValueSizes& output = sizes[at_index(program.output)];
  EXPECT_TRUE(output.is_tensor);
  EXPECT_THAT(output.sizes, testing::ElementsAre(BatchSize{1, 0}, BatchSize{0, 4}));
  EXPECT_THAT(output.strides, testing::ElementsAre(BatchSize{0, 4}, BatchSize{0, 1}));
  const auto joined =
      std::find_if(program.nodes.begin(), program.nodes.end(), [](const Node& node) { return node.op == "aten::cat"; });
  ASSERT_NE(joined, program.nodes.end());
  EXPECT_THAT(sizes[at_index(joined->outputs[0])].sizes, testing::ElementsAre(BatchSize{2, 1}, BatchSize{0, 2}));
}

TEST(SizesOfValues, RefuseAnyOtherRule) {
  const Program program = sizes_program(
      "def forward(self, x):\n"
      "  h = torch.linear(x, self.w)\n"
      "  pairs = torch.mm(h, h.t()).flatten()\n"
      "  return h + pairs[:1] * 0.0\n");
  const Error error = test::error_of([&] { sizes_of_values(program, three_samples, "module"); });
  EXPECT_EQ(error.code(), ExitCode::unsupported);
  EXPECT_THAT(error.what(), testing::AllOf(testing::StartsWith("module: aten::flatten at "),
                                           testing::EndsWith("Pass --format torchscript")));
}

}  // namespace
}  // namespace incite
