#include "incite/evaluation/evaluate.hpp"

#include <ATen/ATen.h>

#include <limits>

#include "incite/base/error.hpp"
#include "incite/program/executor.hpp"

namespace incite {
namespace {

constexpr int64_t most_at_once = 512;  // samples

int64_t at_once(const Program& program, const Dataset& data, const at::Tensor& samples) {
  const at::Tensor few = samples.narrow(0, 0, std::min<int64_t>(2, samples.size(0)));
  return batch_size(program, data.batch(few, program.device), most_at_once);
}

class Evaluator {
 public:
  Evaluator(const Program& original, const std::vector<ModuleToTest>& modules, OutputKind kind, Task task)
      : original_(original), modules_(modules), kind_(kind), task_(task) {
    std::vector<int64_t> outputs;
    for (const ModuleToTest& module : modules) {
      executors_.emplace_back(*module.program);
      outputs.push_back(module.output);
    }
    outputs_ = at::tensor(outputs, at::kLong);
  }

  Evaluation run(const TestSet& test, const Progress& progress) {
    const at::NoGradGuard no_grad;
    const at::Tensor& samples = test.samples;
    sums_ = at::zeros({static_cast<int64_t>(modules_.size())}, at::kDouble);
    const int64_t size = at_once(original_.program(), *test.data, samples);
    for (int64_t first = 0; first < samples.size(0); first += size) {
      const at::Tensor batch = samples.narrow(0, first, std::min(size, samples.size(0) - first));
      const Batch input = test.data->batch(batch, original_.program().device);
      if (task_ == Task::classification) {
        classify(input, test.classes.index_select(0, batch));
      } else {
        regress(input, test.values.index_select(0, batch));
      }
      if (progress) progress({"evaluating", first + batch.size(0), samples.size(0), "samples"});
    }
    if (task_ == Task::classification && covered_ == 0) {
      fail(ExitCode::data_mismatch, "{}: no sample is of a class that has a module, so there is nothing to evaluate",
           test.data->file);
    }
    return result(samples.size(0));
  }

 private:
  /// A module is measured on every sample; modules together, and the original, on those whose class has a module.
  void classify(const Batch& input, const at::Tensor& classes) {
    const at::Tensor covered = at::isin(classes, outputs_);
    covered_ += covered.sum().item<int64_t>();
    const at::Tensor own = original_(input).to(at::kCPU).index_select(1, outputs_);
    original_sum_ += count((outputs_.index_select(0, own.argmax(1)) == classes).logical_and(covered));
    std::vector<at::Tensor> odds;
    for (size_t m = 0; m < modules_.size(); ++m) {
      odds.push_back(log_odds(executors_[m](input), kind_, column_of(modules_[m])).to(at::kCPU));
      sums_[static_cast<int64_t>(m)] += count((odds.back() > 0) == (classes == modules_[m].output));
    }
    const at::Tensor together = outputs_.index_select(0, at::stack(odds, 1).argmax(1));
    combined_sum_ += count((together == classes).logical_and(covered));
  }

  void regress(const Batch& input, const at::Tensor& values) {
    const at::Tensor own = original_(input).to(at::kCPU, at::kDouble);
    const at::Tensor truth = values.to(at::kDouble);
    for (size_t m = 0; m < modules_.size(); ++m) {
      const int64_t output = modules_[m].output;
      const at::Tensor found = executors_[m](input).to(at::kCPU, at::kDouble);
      const at::Tensor column = found.select(1, modules_[m].own_head ? 0 : output);
      const double error = (column - truth.select(1, output)).abs().sum().item<double>();
      sums_[static_cast<int64_t>(m)] += error;
      combined_sum_ += error;
      original_sum_ += (own.select(1, output) - truth.select(1, output)).abs().sum().item<double>();
    }
  }

  static std::optional<int64_t> column_of(const ModuleToTest& module) {
    return module.own_head ? std::nullopt : std::optional(module.output);
  }

  Evaluation result(int64_t samples) const {
    Evaluation evaluation;
    evaluation.task = task_;
    evaluation.samples = task_ == Task::classification ? covered_ : samples;
    const auto modules = static_cast<double>(modules_.size());
    const double of = static_cast<double>(evaluation.samples) * (task_ == Task::regression ? modules : 1.0);
    evaluation.original = original_sum_ / of;
    evaluation.combined = combined_sum_ / of;
    if (task_ == Task::classification && modules_.size() == 1)
      evaluation.combined = std::numeric_limits<double>::quiet_NaN();
    for (size_t m = 0; m < modules_.size(); ++m) {
      evaluation.modules.push_back(sums_[static_cast<int64_t>(m)].item<double>() / static_cast<double>(samples));
    }
    return evaluation;
  }

  static double count(const at::Tensor& right) { return right.sum().item<double>(); }

  const Executor original_;
  const std::vector<ModuleToTest>& modules_;
  const OutputKind kind_;
  const Task task_;
  std::vector<Executor> executors_;
  at::Tensor outputs_;
  at::Tensor sums_;      // by module
  int64_t covered_ = 0;  // samples whose class has a module
  double original_sum_ = 0;
  double combined_sum_ = 0;
};

}  // namespace

Evaluation evaluate(const Program& original, const std::vector<ModuleToTest>& modules, OutputKind kind, Task task,
                    const TestSet& test, const Progress& progress) {
  return Evaluator(original, modules, kind, task).run(test, progress);
}

at::Tensor outputs_for(const Program& program, const Dataset& data, const at::Tensor& samples) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  std::vector<at::Tensor> outputs;
  const int64_t size = at_once(program, data, samples);
  for (int64_t first = 0; first < samples.size(0); first += size) {
    const at::Tensor batch = samples.narrow(0, first, std::min(size, samples.size(0) - first));
    outputs.push_back(executor(data.batch(batch, program.device)).to(at::kCPU, at::kFloat));
  }
  return at::cat(outputs);
}

}  // namespace incite
