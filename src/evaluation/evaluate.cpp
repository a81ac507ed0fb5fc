#include "evaluation/evaluate.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/fail.hpp"
#include "program/executor.hpp"

namespace incite {
namespace {

constexpr int64_t most_at_once = 512;  // samples

/// Runs a program over samples in batches: what `reading` makes of its outputs, one after another.
at::Tensor run(const Program& program, const Dataset& data, const at::Tensor& samples, const Progress& progress,
               const std::function<at::Tensor(const at::Tensor&)>& reading) {
  const at::NoGradGuard no_grad;
  const int64_t n = samples.size(0);
  const at::Tensor few = samples.narrow(0, 0, std::min<int64_t>(2, n));
  const int64_t size = batch_size(program, data.batch(few, program.device), most_at_once);
  const Executor executor(program);
  std::vector<at::Tensor> parts;
  in_batches(n, size, [&](int64_t first, int64_t count) {
    const Batch batch = data.batch(samples.narrow(0, first, count), program.device);
    parts.push_back(reading(executor(batch)).to(at::kCPU));
    if (progress) progress({"evaluating", first + count, n, "samples"});
  });
  return at::cat(parts);
}

/// The columns `outputs`, without a copy where they are all, in order.
at::Tensor columns(const at::Tensor& matrix, const std::vector<int64_t>& outputs) {
  std::vector<int64_t> all(static_cast<size_t>(matrix.size(1)));
  std::iota(all.begin(), all.end(), 0);
  return outputs == all ? matrix : matrix.index_select(1, at::tensor(outputs, at::kLong));
}

Evaluation classify(const at::Tensor& original, const at::Tensor& modules, const std::vector<int64_t>& outputs,
                    OutputKind kind, const TestSet& test) {
  const at::Tensor classes = test.classes.index_select(0, test.samples);
  const at::Tensor truth = places_of(classes, outputs);
  Evaluation evaluation;
  evaluation.test_samples = classes.size(0);
  evaluation.task = Task::classification;
  for (size_t m = 0; m < outputs.size(); ++m) {
    const auto place = static_cast<int64_t>(m);
    evaluation.modules.push_back(class_measures(modules.select(1, place), truth == place));
  }
  const at::Tensor covered = (truth >= 0).nonzero().squeeze(1);
  evaluation.samples = covered.size(0);
  if (evaluation.samples == 0) {
    evaluation.original.classes.resize(outputs.size());
    evaluation.combined.classes.resize(outputs.size());
    evaluation.originals = measure_classes(original, kind, classes, outputs);
    return evaluation;
  }
  const auto rows = [&](const at::Tensor& of) {
    return evaluation.samples == of.size(0) ? of : of.index_select(0, covered);
  };
  const at::Tensor own = rows(columns(original, outputs));
  evaluation.original = measure_classifier(own, kind, rows(truth));
  // Where every output has a module and every sample counts, that is the same question.
  const bool all = own.is_same(original);
  evaluation.originals = all ? evaluation.original.classes : measure_classes(original, kind, classes, outputs);
  if (outputs.size() == 1) return evaluation;
  const at::Tensor together = rows(modules);
  evaluation.combined = measure_classifier(together, OutputKind::logits, rows(truth));
  evaluation.agreement =
      (own.argmax(1) == together.argmax(1)).sum().item<double>() / static_cast<double>(evaluation.samples);
  return evaluation;
}

}  // namespace

at::Tensor outputs_for(const Program& program, const Dataset& data, const at::Tensor& samples,
                       const Progress& progress) {
  return run(program, data, samples, progress, [](const at::Tensor& outputs) { return outputs.to(at::kFloat); });
}

at::Tensor module_scores(const ModuleToTest& module, OutputKind kind, Task task, const TestSet& test,
                         const Progress& progress) {
  const auto column = module.own_head ? std::nullopt : std::optional(module.output);
  return run(*module.program, *test.data, test.samples, progress, [&](const at::Tensor& outputs) {
    return task == Task::classification ? log_odds(outputs, kind, column)
                                        : outputs.select(1, column.value_or(0)).to(at::kDouble);
  });
}

Evaluation evaluate(const at::Tensor& original, const at::Tensor& modules, const std::vector<int64_t>& outputs,
                    OutputKind kind, Task task, const TestSet& test) {
  const int64_t n = test.samples.size(0);
  INCITE_ASSERT(original.size(0) == n && modules.size(0) == n && n > 0);
  INCITE_ASSERT(!outputs.empty() && modules.size(1) == static_cast<int64_t>(outputs.size()));
  if (task == Task::classification) return classify(original, modules, outputs, kind, test);
  const at::Tensor truth = columns(test.values.index_select(0, test.samples), outputs);
  Evaluation evaluation;
  evaluation.task = Task::regression;
  evaluation.samples = evaluation.test_samples = n;
  evaluation.original = measure_regression(columns(original, outputs), truth);
  evaluation.combined = measure_regression(modules, truth);
  return evaluation;
}

ModelMeasures measure(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& test) {
  if (task == Task::classification)
    return measure_classifier(outputs, kind, test.classes.index_select(0, test.samples));
  return measure_regression(outputs, test.values.index_select(0, test.samples));
}

}  // namespace incite
