#include "scoring/run_sizes.hpp"

#include <gtest/gtest.h>

#include "support/expect_error.hpp"

namespace incite {
namespace {

constexpr int64_t mib = int64_t{1} << 20;

TEST(RunSizes, SuitTheDeviceWhereMemoryIsPlentiful) {
  const SampleBytes small{1000, 100};
  const RunSizes cpu(int64_t{8} << 30, small, 60'000, {}, at::kCPU);
  EXPECT_EQ(cpu.chunk(), 128);
  EXPECT_EQ(cpu.mutants(100), 32);  // 4096 rows
  EXPECT_EQ(cpu.chunks_at_once(4), 4);
  EXPECT_EQ(cpu.batches_at_once(32 * 128 * 100, 4), 4);
  const RunSizes gpu(int64_t{8} << 30, small, 60'000, {}, at::kCUDA);
  EXPECT_EQ(gpu.chunk(), 4096);
  EXPECT_EQ(gpu.mutants(100), 64);
}

TEST(RunSizes, TakeNoMoreSamplesThanThereAre) {
  const RunSizes sizes(int64_t{8} << 30, {1000, 100}, 6, {}, at::kCPU);
  EXPECT_EQ(sizes.chunk(), 6);
}

TEST(RunSizes, LetFewerWorkersRunWhereMemoryIsScarce) {
  // 64 MiB for mutants, 10 of a sample: a quarter holds one sample, all of it six.
  const RunSizes sizes(128 * mib, {mib, 10 * mib}, 1000, {}, at::kCPU);
  EXPECT_EQ(sizes.chunk(), 1);
  EXPECT_EQ(sizes.mutants(10 * mib), 1);
  EXPECT_EQ(sizes.batches_at_once(10 * mib, 16), 6);
  EXPECT_EQ(sizes.chunks_at_once(16), 16);
  EXPECT_EQ(sizes.chunks_at_once(100), 64);
}

TEST(RunSizes, RefuseABudgetThatHoldsNotOneSample) {
  test::expect_error(
      [] {
        RunSizes(8, {4, 24}, 10, {}, at::kCPU);
      },
      ExitCode::device, "a memory budget of 8 bytes is too small to score one sample: it takes 48; raise --memory");
}

}  // namespace
}  // namespace incite
