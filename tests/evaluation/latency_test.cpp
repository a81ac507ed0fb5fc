#include "evaluation/latency.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/script.hpp"

namespace incite {
namespace {

TEST(Median, IsTheMiddleValueOrTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 100, 2}), 3);
  EXPECT_EQ(median({5}), 5);
  EXPECT_THROW(median({}), std::logic_error);
}

TEST(Latency, IsMeasuredAtBothBatchSizesHoweverFewTheSamples) {
  Dataset data;
  data.input = at::ones({3, 4});
  const Program program = test::program_from("def forward(self, x):\n    return torch.linear(x, self.fc.weight)\n",
                                             {{"fc.weight", at::ones({2, 4})}}, data.batch(0, 3, at::kCPU));
  const Latency found = measure_latency(program, data);
  EXPECT_GT(found.small, 0);
  EXPECT_GT(found.large, 0);
}

TEST(Latency, AddsUp) {
  Latency sum = {1, 2};
  sum += {0.5, 0.25};
  EXPECT_EQ(sum.small, 1.5);
  EXPECT_EQ(sum.large, 2.25);
}

}  // namespace
}  // namespace incite
