#include "program/cost.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/script.hpp"

namespace incite {
namespace {

/// The multiply-adds of a model with this code, for one sample.
double counted(const std::string& source, const test::Parameters& parameters, const at::Tensor& batch) {
  return multiply_adds(test::program_from(source, parameters, batch), batch);
}

TEST(MultiplyAdds, AreThoseOfConvolutionsAndLinearLayersForOneSample) {
  const std::string source = R"(
def forward(self, x):
    x = torch.relu(torch.conv2d(x, self.conv.weight, self.conv.bias))
    x = torch.flatten(torch.max_pool2d(x, [2, 2]), 1)
    return torch.linear(x, self.fc.weight, self.fc.bias)
)";
  const test::Parameters parameters = {{"conv.weight", at::ones({4, 2, 3, 3})},
                                       {"conv.bias", at::ones({4})},
                                       {"fc.weight", at::ones({5, 36})},
                                       {"fc.bias", at::ones({5})}};
  // 4 channels of 6 x 6 outputs, each a sum over 2 x 3 x 3; then 36 inputs for each of 5 outputs.
  for (const int64_t samples : {1, 2, 7})
    EXPECT_EQ(counted(source, parameters, at::ones({samples, 2, 8, 8})), 4 * 36 * 18 + 36 * 5) << samples;
}

TEST(MultiplyAdds, OfAGroupedConvolutionAreFewer) {
  const std::string source = R"(
def forward(self, x):
    x = torch.conv2d(x, self.conv.weight, None, [1, 1], [1, 1], [1, 1], 4)
    return x.mean([2, 3])
)";
  // A filter of 3 x 3 for each of 4 channels of 5 x 5.
  EXPECT_EQ(counted(source, {{"conv.weight", at::ones({4, 1, 3, 3})}}, at::ones({2, 4, 5, 5})), 4 * 25 * 9);
}

TEST(MultiplyAdds, OfATransposedConvolutionAreCountedByItsInputs) {
  const std::string source = R"(
def forward(self, x):
    return torch.conv_transpose2d(x, self.up.weight).mean([2, 3])
)";
  // Each of 3 x 4 x 4 inputs goes to 2 channels of 3 x 3 outputs.
  EXPECT_EQ(counted(source, {{"up.weight", at::ones({3, 2, 3, 3})}}, at::ones({2, 3, 4, 4})), 48 * 18);
}

TEST(MultiplyAdds, OfALinearLayerAreTakenAtEachPosition) {
  const std::string source = "def forward(self, x):\n    return torch.linear(x, self.fc.weight).mean(1)\n";
  EXPECT_EQ(counted(source, {{"fc.weight", at::ones({3, 6})}}, at::ones({2, 7, 6})), 7 * 6 * 3);
}

TEST(MultiplyAdds, OfProductsAreTheSizesOfAllTheirDimensions) {
  // Two [5, 4] matrices a sample: [5, 4] · [4, 5] is 100, written in three ways.
  for (const std::string product : {"torch.matmul(x, x.transpose(1, 2))", "torch.bmm(x, x.transpose(1, 2))",
                                    "torch.einsum(\"bik,bjk->bij\", [x, x])"}) {
    const std::string source = "def forward(self, x):\n    return " + product + ".sum(1)\n";
    EXPECT_EQ(counted(source, {}, at::ones({2, 5, 4})), 100) << product;
  }
}

TEST(MultiplyAdds, OfAttentionAreThoseOfItsTwoProducts) {
  const std::string source = R"(
def forward(self, x):
    x = x.view(-1, 7, 2, 3).transpose(1, 2)
    return torch.scaled_dot_product_attention(x, x, x).mean([1, 2])
)";
  // In each of 2 heads 7 queries by 7 keys of 3 features, and as much again for the values.
  EXPECT_EQ(counted(source, {}, at::ones({2, 7, 6})), 2 * (2 * 7 * 7 * 3));
}

TEST(MultiplyAdds, OfARecurrentLayerAreThoseOfItsWeightsAtEachStep) {
  const std::string source = R"(
def forward(self, x):
    h = torch.zeros([1, x.size(0), 5])
    y, h1, c1 = torch.lstm(x, [h, h], [self.r.wi, self.r.wh, self.r.bi, self.r.bh], True, 1, 0.0, False, False, True)
    return torch.linear(y[:, -1], self.head.weight)
)";
  const test::Parameters parameters = {{"r.wi", at::ones({20, 3})},
                                       {"r.wh", at::ones({20, 5})},
                                       {"r.bi", at::ones({20})},
                                       {"r.bh", at::ones({20})},
                                       {"head.weight", at::ones({2, 5})}};
  // Four gates of 5 units read 3 inputs and 5 units of before, 6 times; then the head.
  EXPECT_EQ(counted(source, parameters, at::ones({2, 6, 3})), 6 * (20 * 3 + 20 * 5) + 10);
}

TEST(MultiplyAdds, OfAllElseAreNone) {
  const std::string source = "def forward(self, x):\n    return torch.softmax(torch.relu(x) * 2.0 + 1.0, 1)\n";
  EXPECT_EQ(counted(source, {}, at::ones({2, 5})), 0);
}

TEST(Cost, AddsUp) {
  Cost sum = {1, 10, 100};
  sum += {2, 20, 200};
  EXPECT_EQ(sum.parameters, 3);
  EXPECT_EQ(sum.bytes, 30);
  EXPECT_EQ(sum.multiply_adds, 300);
}

}  // namespace
}  // namespace incite
