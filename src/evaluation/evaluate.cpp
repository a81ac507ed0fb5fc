#include "evaluation/evaluate.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/fail.hpp"
#include "base/workers.hpp"
#include "program/executor.hpp"
#include "program/for_running.hpp"

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
  const Program fast = for_running(program);
  const Executor executor(fast);
  std::vector<at::Tensor> parts(static_cast<size_t>((n + size - 1) / size));
  const auto run_part = [&](int64_t part) {
    const at::NoGradGuard no_grad_here;
    const at::Tensor own = samples.narrow(0, part * size, std::min(size, n - part * size));
    const at::Tensor outputs = data.at_points(executor(data.batch(own, program.device)), own);
    parts[static_cast<size_t>(part)] = reading(outputs).to(at::kCPU);
  };
  run_pieces(static_cast<int64_t>(parts.size()), workers_for(program.device), program.device, run_part,
             [&](int64_t done) {
               if (progress) progress({"evaluating", std::min(done * size, n), n, "samples"});
             });
  return at::cat(parts);
}

/// The columns `outputs`, without a copy where they are all, in order.
at::Tensor columns(const at::Tensor& matrix, const std::vector<int64_t>& outputs) {
  std::vector<int64_t> all(static_cast<size_t>(matrix.size(1)));
  std::iota(all.begin(), all.end(), 0);
  if (outputs == all) return matrix;
  return matrix.index_select(1, at::tensor(outputs, at::TensorOptions(at::kLong).device(matrix.device())));
}

/// The columns of a set in the matrix of all.
at::Tensor own_columns(const at::Tensor& columns, const OutputSet& set, int64_t& first) {
  const at::Tensor own = columns.narrow(1, first, set.size());
  first += set.size();
  return own;
}

Evaluation classify(const at::Tensor& original, const at::Tensor& modules, const std::vector<OutputSet>& sets,
                    OutputKind kind, const at::Tensor& classes) {
  const std::vector<int64_t> outputs = outputs_of(sets);
  const at::Tensor truth = places_of(classes, outputs);
  Evaluation evaluation;
  evaluation.test_samples = classes.size(0);
  evaluation.task = Task::classification;
  int64_t first = 0;
  for (const OutputSet& set : sets)
    evaluation.modules.push_back(measure_set(own_columns(modules, set, first), set, classes));
  const at::Tensor covered = (truth >= 0).nonzero().squeeze(1);
  evaluation.samples = covered.size(0);
  if (evaluation.samples == 0) {
    evaluation.original.classes.resize(outputs.size());
    evaluation.combined.classes.resize(outputs.size());
    evaluation.originals = measure_classes(original, kind, classes, sets);
    return evaluation;
  }
  const auto rows = [&](const at::Tensor& of) {
    return evaluation.samples == of.size(0) ? of : of.index_select(0, covered);
  };
  const at::Tensor own = rows(columns(original, outputs));
  evaluation.original = measure_classifier(own, kind, rows(truth));
  // Where every output has a module of its own and every sample counts, that is the same question.
  if (own.is_same(original) && sets.size() == outputs.size()) {
    for (const ClassMeasures& one : evaluation.original.classes)
      evaluation.originals.push_back({one, {one}});
  } else {
    evaluation.originals = measure_classes(original, kind, classes, sets);
  }
  if (outputs.size() == 1) return evaluation;
  const at::Tensor together = rows(modules);
  evaluation.combined = measure_classifier(together, OutputKind::logits, rows(truth));
  evaluation.agreement =
      (own.argmax(1) == together.argmax(1)).sum().item<double>() / static_cast<double>(evaluation.samples);
  return evaluation;
}

/// Of a multilabel model: `original` [n, columns] its outputs, `modules` [n, columns], `truth` [n, columns].
Evaluation label(const at::Tensor& original, const at::Tensor& modules, const std::vector<OutputSet>& sets,
                 OutputKind kind, const at::Tensor& truth) {
  const at::Tensor odds = label_log_odds(original, kind);
  Evaluation evaluation;
  evaluation.task = Task::multilabel;
  evaluation.samples = evaluation.test_samples = truth.size(0);
  evaluation.original = measure_labels(odds, truth);
  evaluation.combined = measure_labels(modules, truth);
  size_t first = 0;
  for (const OutputSet& set : sets) {
    const auto own = [&](const ModelMeasures& of) {
      const auto start = of.classes.begin() + static_cast<std::ptrdiff_t>(first);
      return mean_of_labels({start, start + set.size()});
    };
    evaluation.originals.push_back(own(evaluation.original));
    evaluation.modules.push_back(own(evaluation.combined));
    first += set.outputs.size();
  }
  evaluation.agreement = ((odds > 0) == (modules > 0)).to(at::kDouble).mean().item<double>();
  return evaluation;
}

/// For each set, the means over its outputs.
std::vector<ErrorMeasures> errors_by_set(const ModelMeasures& measures, const std::vector<OutputSet>& sets) {
  std::vector<ErrorMeasures> means;
  size_t place = 0;
  for (const OutputSet& set : sets) {
    ErrorMeasures mean{0, 0, 0};
    for (size_t i = 0; i < set.outputs.size(); ++i, ++place) {
      mean.mae += measures.errors[place].mae;
      mean.rmse += measures.errors[place].rmse;
      mean.r2 += measures.errors[place].r2;
    }
    const auto count = static_cast<double>(set.size());
    means.push_back({mean.mae / count, mean.rmse / count, mean.r2 / count});
  }
  return means;
}

/// Of a regression: all [n, columns].
Evaluation regress(const at::Tensor& original, const at::Tensor& modules, const std::vector<OutputSet>& sets,
                   const at::Tensor& truth) {
  Evaluation evaluation;
  evaluation.task = Task::regression;
  evaluation.samples = evaluation.test_samples = truth.size(0);
  evaluation.original = measure_regression(original, truth);
  evaluation.combined = measure_regression(modules, truth);
  evaluation.original_errors = errors_by_set(evaluation.original, sets);
  evaluation.module_errors = errors_by_set(evaluation.combined, sets);
  return evaluation;
}

}  // namespace

at::Tensor support(const TestSet& set, int64_t outputs) {
  if (set.classes.defined()) {
    const at::Tensor classes = set.own_classes();
    return at::bincount(classes.masked_select(classes >= 0), {}, outputs);
  }
  return set.own_values().sum(0, /*keepdim=*/false, at::kDouble).to(at::kLong);
}

std::pair<at::Tensor, at::Tensor> labelled(const at::Tensor& outputs, const at::Tensor& classes) {
  const at::Tensor known = classes >= 0;
  if (known.all().item<bool>()) return {outputs, classes};
  return {outputs.index_select(0, known.nonzero().squeeze(1)), classes.masked_select(known)};
}

at::Tensor outputs_for(const Program& program, const Dataset& data, const at::Tensor& samples,
                       const Progress& progress) {
  return run(program, data, samples, progress, [](const at::Tensor& outputs) { return outputs.to(at::kFloat); });
}

at::Tensor columns_of(const at::Tensor& outputs, const ModuleToTest& module, OutputKind kind, Task task) {
  if (task != Task::regression) return log_odds(outputs, kind, module.set, module.own_head);
  return (module.own_head ? outputs : columns(outputs, module.set.outputs)).to(at::kDouble);
}

at::Tensor module_scores(const ModuleToTest& module, OutputKind kind, Task task, const TestSet& test,
                         const Progress& progress) {
  return run(*module.program, *test.data, test.samples, progress,
             [&](const at::Tensor& outputs) { return columns_of(outputs, module, kind, task); });
}

Evaluation evaluate(const at::Tensor& original, const at::Tensor& modules, const std::vector<OutputSet>& sets,
                    OutputKind kind, Task task, const TestSet& test) {
  const int64_t n = test.samples.size(0) * test.data->points_each();
  const std::vector<int64_t> outputs = outputs_of(sets);
  INCITE_ASSERT(original.size(0) == n && modules.size(0) == n && n > 0);
  INCITE_ASSERT(!outputs.empty() && modules.size(1) == static_cast<int64_t>(outputs.size()));
  Evaluation evaluation;
  if (task == Task::classification) {
    const at::Tensor classes = test.own_classes();
    evaluation = classify(labelled(original, classes).first, labelled(modules, classes).first, sets, kind,
                          labelled(classes, classes).second);
  } else {
    const at::Tensor own = columns(original, outputs);
    const at::Tensor truth = columns(test.own_values(), outputs);
    evaluation = task == Task::multilabel ? label(own, modules, sets, kind, truth) : regress(own, modules, sets, truth);
  }
  evaluation.positions = test.data->positions.defined() ? test.data->points_each() : 0;
  return evaluation;
}

ModelMeasures measure(const at::Tensor& outputs, OutputKind kind, Task task, const TestSet& test) {
  if (task == Task::classification) {
    const auto [known, classes] = labelled(outputs, test.own_classes());
    return measure_classifier(known, kind, classes);
  }
  if (task == Task::multilabel) return measure_labels(label_log_odds(outputs, kind), test.own_values());
  return measure_regression(outputs, test.own_values());
}

}  // namespace incite
