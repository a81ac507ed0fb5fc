#include "evaluation/latency.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>

#include "base/fail.hpp"
#include "program/executor.hpp"

namespace incite {
namespace {

constexpr size_t warm_up_runs = 2;
constexpr size_t least_runs = 5;
constexpr size_t most_runs = 30;
constexpr double enough_ms = 200;

/// Copies the outputs to the CPU: only then is a GPU known to be done.
double run_ms(const Executor& executor, const Batch& batch) {
  const auto began = std::chrono::steady_clock::now();
  const at::Tensor outputs = executor(batch).to(at::kCPU);
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

double median(std::vector<double> values) {
  INCITE_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double latency_ms(const Program& program, const Batch& batch) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  for (size_t i = 0; i < warm_up_runs; ++i)
    run_ms(executor, batch);
  std::vector<double> runs;
  double total = 0;
  while (runs.size() < least_runs || (runs.size() < most_runs && total < enough_ms)) {
    runs.push_back(run_ms(executor, batch));
    total += runs.back();
  }
  return median(std::move(runs));
}

Latency measure_latency(const Program& program, const Dataset& data) {
  const auto of = [&](int64_t samples) {
    const at::Tensor indices = at::arange(samples, at::kLong).remainder(data.size());
    return latency_ms(program, data.batch(indices, program.device));
  };
  return {of(small_batch), of(large_batch)};
}

}  // namespace incite
