#include "program/convolution.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace incite {
namespace {

/// What is read of a node whose inputs are 0, 1, 2, ... but for `flag`, which is true.
std::optional<Convolution> read(const char* op, size_t flag = 0) {
  Node node;
  node.op = op;
  std::vector<c10::IValue> inputs;
  for (int64_t i = 0; i < 12; ++i)
    inputs.emplace_back(i);
  if (flag > 0) inputs[flag] = true;
  return convolution_of(node, [&](size_t i) -> const c10::IValue& { return inputs[i]; });
}

// Where arguments stand: the schemas in PyTorch's aten/src/ATen/native/native_functions.yaml.

TEST(ConvolutionArguments, OfAPlainConvolution) {
  const std::optional<Convolution> found = read("aten::conv2d");
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->general || found->transposed);
  EXPECT_EQ(found->groups_input, 6U);
  EXPECT_EQ(found->stride.toInt(), 3);
  EXPECT_EQ(found->padding.toInt(), 4);
  EXPECT_EQ(found->dilation.toInt(), 5);
  EXPECT_EQ(found->groups.toInt(), 6);
}

TEST(ConvolutionArguments, OfATransposedConvolution) {
  const std::optional<Convolution> found = read("aten::conv_transpose1d");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->transposed);
  EXPECT_EQ(found->dilation.toInt(), 7);
  EXPECT_EQ(found->groups.toInt(), 6);
}

TEST(ConvolutionArguments, OfTheGeneralOperatorSayWhetherItIsTransposed) {
  EXPECT_FALSE(read("aten::_convolution")->transposed);
  const std::optional<Convolution> found = read("aten::_convolution", 6);
  EXPECT_TRUE(found->general && found->transposed);
  EXPECT_EQ(found->dilation.toInt(), 5);
  EXPECT_EQ(found->groups.toInt(), 8);
  EXPECT_EQ(found->groups_input, 8U);
}

TEST(ConvolutionArguments, OfOtherOperationsThereAreNone) {
  EXPECT_FALSE(read("aten::linear"));
  EXPECT_FALSE(is_convolution("aten::conv_tbc"));
}

}  // namespace
}  // namespace incite
