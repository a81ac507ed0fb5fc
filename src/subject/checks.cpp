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

/// The classes or labels that occur at points of each sample: [samples, outputs] bool.
at::Tensor occurring(const TestSet& set, Task task) {
  const int64_t samples = set.data->size();
  if (task == Task::multilabel) return (set.values > 0).view({samples, -1, set.values.size(1)}).any(1);
  const at::Tensor known = set.classes.clamp_min(0).view({samples, -1});
  const at::Tensor found = at::zeros({samples, set.classes.max().item<int64_t>() + 1}, at::kBool);
  return found.scatter_(1, known, at::ones_like(known, at::kBool));
}

/// Refuses labels that every sample has: nothing tells a module when they do not hold.
void check_without_labels(const TestSet& fit, const std::vector<OutputSet>& modules, const at::Tensor& counts) {
  for (const int64_t output : outputs_of(modules)) {
    if (counts[output].item<int64_t>() < fit.own_values().size(0)) continue;
    fail(ExitCode::data_mismatch, "{}: all samples have the label {}; its module needs samples without it too",
         fit.data->file, output);
  }
}

}  // namespace

Task choose_task(const std::optional<Task>& asked, const Dataset& data, OutputKind kind, int64_t outputs) {
  const bool of_labels = kind == OutputKind::sigmoid || kind == OutputKind::logits || kind == OutputKind::label_logits;
  if (asked == Task::multilabel && !of_labels) {
    fail(ExitCode::data_mismatch,
         "--task multilabel: the model's outputs are {}; expected logits or a sigmoid, which tell of each label by "
         "itself",
         kind == OutputKind::other ? "of no known kind" : to_string(kind));
  }
  if (asked) return *asked;
  if (data.target.defined()) {
    const Task task = guess_task(data.target, outputs);
    if (task == Task::multilabel && !of_labels) return Task::regression;
    check_labels(data, task, outputs);
    return task;
  }
  if (kind == OutputKind::probabilities || kind == OutputKind::log_probabilities || kind == OutputKind::sigmoid) {
    return Task::classification;
  }
  if (data.positions.defined()) return Task::regression;
  fail(ExitCode::data_mismatch,
       "{}: no target '{}', and the model's outputs do not show its task; pass --target-key, or --task "
       "classification, multilabel or regression",
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

at::Tensor sample_order(const TestSet& set, Task task, uint64_t seed) {
  const at::Tensor strata = !set.data->positions.defined() && task == Task::classification ? set.classes
                            : task == Task::regression                                     ? at::Tensor()
                                                       : rarest_labels(occurring(set, task));
  return stratified_order(strata, set.data->size(), derive_seed(seed, "split"));
}

TestSet hold_out(TestSet& fit, Task task, double share, uint64_t seed) {
  const int64_t size = fit.data->size();
  const at::Tensor order = sample_order(fit, task, seed);
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
  const at::Tensor counts = support(fit, outputs);
  std::vector<int64_t> missing;
  for (const int64_t output : outputs_of(modules)) {
    if (counts[output].item<int64_t>() == 0) missing.push_back(output);
  }
  if (!missing.empty()) {
    const bool labels = !fit.classes.defined();
    fail(ExitCode::data_mismatch,
         "{}: no sample of {}, so {} can't get {}; add some, or pass --outputs present to leave {} out", fit.data->file,
         human_list(missing, labels ? "label" : "class", labels ? "labels" : "classes"),
         missing.size() == 1 ? "it" : "they", missing.size() == 1 ? "a module" : "modules",
         missing.size() == 1 ? "it" : "them");
  }
  if (!fit.classes.defined()) return check_without_labels(fit, modules, counts);
  for (const OutputSet& set : modules) {
    int64_t own = 0;
    for (const int64_t output : set.outputs)
      own += counts[output].item<int64_t>();
    if (!set.others || own < counts.sum().item<int64_t>()) continue;
    fail(ExitCode::data_mismatch, "{}: all samples are of {}; a module needs samples of other classes too",
         fit.data->file, human_list(set.outputs, "class", "classes"));
  }
}

}  // namespace incite
