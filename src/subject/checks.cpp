#include "subject/checks.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.hpp"
#include "base/human.hpp"
#include "base/random.hpp"
#include "program/executor.hpp"
#include "subject/samples.hpp"
#include "units/two_columns.hpp"

namespace incite {

namespace {

/// Refuses targets [N] that are neither class labels nor values for this number of outputs.
void check_labels(const Dataset& data, Task task, int64_t outputs) {
  const at::Tensor& target = data.target;
  if (target.dim() == 2 && target.size(1) > 1) return;
  const at::Tensor labels = target.reshape(-1);
  const auto sample = [](const at::Tensor& wrong) { return wrong.nonzero()[0].item<int64_t>(); };
  if (task == Task::regression && outputs > 1) {
    const at::Tensor wrong = labels.ne(labels.round());
    fail(ExitCode::data_mismatch,
         "{}: array '{}': sample {} has {}. For a model with {} outputs, targets [N] are class labels, whole numbers, "
         "and values of a regression have shape [N, {}]",
         data.file, data.target_key, sample(wrong), labels[sample(wrong)].item<double>(), outputs, outputs);
  }
  if (task == Task::classification && outputs == 1) {
    const at::Tensor wrong = labels.ne(0).logical_and(labels.ne(1));
    if (!wrong.any().item<bool>()) return;
    fail(ExitCode::data_mismatch,
         "{}: array '{}': sample {} has {}. A model with one output tells class 1 from class 0: label samples 0 or 1, "
         "or pass --task regression if these are values",
         data.file, data.target_key, sample(wrong), labels[sample(wrong)].item<int64_t>());
  }
}

}  // namespace

Task choose_task(const std::optional<Task>& asked, const Dataset& data, OutputKind kind, int64_t outputs) {
  if (asked) return *asked;
  if (data.target.defined()) {
    const Task task = guess_task(data.target, outputs);
    check_labels(data, task, outputs);
    return task;
  }
  if (kind == OutputKind::probabilities || kind == OutputKind::log_probabilities || kind == OutputKind::sigmoid) {
    return Task::classification;
  }
  fail(ExitCode::data_mismatch,
       "{}: no target '{}', and the model's outputs do not show its task; pass --target-key, or --task "
       "classification or regression",
       data.file, data.target_key);
}

AnalysedModel analysed(Program program, const Dataset& data) {
  const Batch two = two_samples(data, program.device);
  AnalysedModel model;
  model.map = analyse(program, sample_values(program, two));
  model.kind = output_kind(program, model.map);
  model.outputs = output_count(program, two);
  model.program = std::move(program);
  return model;
}

bool is_one_column(Task task, int64_t outputs) {
  return task == Task::classification && outputs == 1;
}

AnalysedModel as_two_columns(const std::filesystem::path& model, const Program& program, const Dataset& data) {
  const Batch two = two_samples(data, program.device);
  return analysed(with_two_columns(program, two, model.string()), data);
}

void check_model(const std::filesystem::path& model, const UnitMap& map) {
  if (map.removable_units() == 0) {
    fail(ExitCode::unsupported, "{}: no unit can be removed, since every layer is pinned; 'incite inspect' shows why",
         model.string());
  }
}

at::Tensor sample_order(const TestSet& set, uint64_t seed) {
  return stratified_order(set.classes, set.data->size(), derive_seed(seed, "split"));
}

TestSet hold_out(TestSet& fit, double share, uint64_t seed) {
  const int64_t size = fit.data->size();
  const at::Tensor order = sample_order(fit, seed);
  const auto count = std::max<int64_t>(1, std::llround(share * static_cast<double>(size)));
  if (count >= size) {
    fail(ExitCode::data_mismatch,
         "{}: {} samples are too few to hold some out for evaluation; give more, or pass --test", fit.data->file, size);
  }
  TestSet held_out = fit;
  held_out.samples = order.narrow(0, 0, count);
  fit.samples = order.narrow(0, count, size - count);
  return held_out;
}

void check_classes(const TestSet& fit, const std::vector<OutputSet>& modules, int64_t outputs) {
  const at::Tensor counts = at::bincount(fit.classes.index_select(0, fit.samples), {}, outputs);
  std::vector<int64_t> missing;
  for (const int64_t output : outputs_of(modules)) {
    if (counts[output].item<int64_t>() == 0) missing.push_back(output);
  }
  if (!missing.empty()) {
    fail(ExitCode::data_mismatch,
         "{}: no sample of {}, so {} can't get {}; add some, or pass --outputs present to leave {} out", fit.data->file,
         human_list(missing, "class", "classes"), missing.size() == 1 ? "it" : "they",
         missing.size() == 1 ? "a module" : "modules", missing.size() == 1 ? "it" : "them");
  }
  for (const OutputSet& set : modules) {
    int64_t own = 0;
    for (const int64_t output : set.outputs)
      own += counts[output].item<int64_t>();
    if (!set.others || own < fit.samples.size(0)) continue;
    fail(ExitCode::data_mismatch, "{}: all samples are of {}; a module needs samples of other classes too",
         fit.data->file, human_list(set.outputs, "class", "classes"));
  }
}

}  // namespace incite
