#include "scoring/run_sizes.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace incite {
namespace {

constexpr int64_t default_budget = int64_t{1} << 30;
// On a CPU larger chunks and batches only fall out of the caches, and leave workers without one at the end. On a GPU
// they are what keeps it busy: small networks' kernels are short beside the time that it takes to start one.
constexpr int64_t most_cpu_bytes = int64_t{512} << 20;
constexpr int64_t budget_parts = 4;  // of a CPU's memory: as many chunks and batches fit for certain
constexpr int64_t most_cpu_batch_bytes = int64_t{16} << 20;
constexpr ChunkSizes cpu_sizes{128, 4096}, gpu_sizes{4096, 262'144};

int64_t at_least_one(int64_t count, int64_t most) {
  return std::clamp<int64_t>(count, 1, std::max<int64_t>(most, 1));
}

}  // namespace

RunSizes::RunSizes(int64_t memory, const SampleBytes& bytes, int64_t samples, const std::optional<ChunkSizes>& most,
                   c10::Device device)
    : half_((memory > 0 ? memory : default_budget) / 2), base_(bytes.base) {
  const int64_t least = std::max(bytes.base, bytes.mutant);
  if (half_ < least) {
    fail(ExitCode::device, "a memory budget of {} bytes is too small to score one sample: it takes {}; raise --memory",
         2 * half_, 2 * least);
  }
  const ChunkSizes sizes = most.value_or(device.is_cpu() ? cpu_sizes : gpu_sizes);
  const int64_t budget = device.is_cpu() ? std::max(std::min(half_ / budget_parts, most_cpu_bytes), least) : half_;
  chunk_ = at_least_one(std::min(budget / bytes.base, budget / bytes.mutant), std::min(sizes.samples, samples));
  batch_ = device.is_cpu() ? std::min(budget, most_cpu_batch_bytes) : half_;
  rows_ = sizes.rows;
}

int64_t RunSizes::mutants(int64_t bytes) const {
  const int64_t rows = std::min(batch_ / std::max<int64_t>(bytes, 1), rows_);
  return std::max<int64_t>(rows / chunk_, 1);
}

int64_t RunSizes::chunks_at_once(int64_t workers) const {
  return at_least_one(half_ / (base_ * chunk_), workers);
}

int64_t RunSizes::batches_at_once(int64_t bytes, int64_t workers) const {
  return at_least_one(half_ / std::max<int64_t>(bytes, 1), workers);
}

}  // namespace incite
