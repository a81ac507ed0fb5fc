#include "program/executor.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/script.hpp"

namespace incite {
namespace {

TEST(BatchSize, HoldsWhatIsAliveAtOnceWithinSoManyBytes) {
  // Two values of 1,000,000 floats a sample are alive at a time, never three.
  const char* source = R"(
def forward(self, x):
    x = x.repeat(1, 1000)
    x = torch.relu(torch.sigmoid(torch.tanh(x)))
    return torch.linear(x.sum(1, True), self.weight)
)";
  const at::Tensor x = at::ones({4, 1000});
  const Program program = test::program_from(source, {{"weight", at::ones({2, 1})}}, x);
  EXPECT_EQ(batch_size(program, x, 512, 80'000'000), 10);
  EXPECT_EQ(batch_size(program, x, 512), batch_bytes / 8'000'000);
  EXPECT_EQ(batch_size(program, x, 3, 80'000'000), 3);
  EXPECT_EQ(batch_size(program, x.narrow(0, 0, 0), 10), 10);
}

}  // namespace
}  // namespace incite
