#include "verbs/decompose/fit_together.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/random.hpp"
#include "base/workers.hpp"
#include "slicing/calibration.hpp"
#include "slicing/convex.hpp"
#include "slicing/finetune.hpp"

namespace incite {
namespace {

constexpr int64_t most_joint_bytes = 256 << 20;  // of the inputs of all heads
constexpr int64_t most_last_bytes = 512 << 20;   // of the inputs of all modules' last layers
constexpr int64_t last_epochs = 8;
constexpr int64_t last_batch = 256;  // samples
// The share of the original's probabilities in the loss. With a larger one, Fashion-MNIST's modules lost more on unseen
// samples.
constexpr double last_teacher = 0.5;

at::Tensor with_validation(const Subject& subject, const at::Tensor& samples) {
  return samples.defined() ? at::cat({samples, subject.validation}) : samples;
}

/// The share of positions along the labelled axis of a value of the original that stay.
double kept_share(const UnitMap& map, ValueId value, const Selection& keep) {
  const std::vector<int32_t>& units = map.activations[at_index(value)].units;
  if (units.empty()) return 1;
  const auto gone =
      std::count_if(units.begin(), units.end(), [&](int32_t unit) { return unit != no_unit && !keep[at_index(unit)]; });
  return 1 - static_cast<double>(gone) / static_cast<double>(units.size());
}

/// As many training samples as fit into `bytes`. Undefined if these are too few to be of use, since there are too many
/// modules.
at::Tensor as_many_as_fit(const Subject& subject, double bytes_a_sample, int64_t bytes) {
  const auto samples =
      std::min(static_cast<int64_t>(static_cast<double>(bytes) / std::max(bytes_a_sample, 1.0)), subject.train.size(0));
  if (samples < 2 * static_cast<int64_t>(subject.outputs.size())) return {};
  return subject.train.narrow(0, 0, samples);
}

/// Whether classes compete for samples: the modules' columns can then be fitted together.
bool competes(const Workshop& w) {
  return w.subject.task == Task::classification && row_of(w.plan.options.head).own && w.subject.outputs.size() > 1 &&
         w.subject.validation.size(0) > 0;
}

/// The samples for fitting heads together. Undefined if heads stay as they were fitted alone.
at::Tensor joint_samples(const Workshop& w, const std::vector<Selection>& selections) {
  const CalibrationMethod calibration = w.plan.options.calibration;
  const bool together = calibration == CalibrationMethod::heads || calibration == CalibrationMethod::layers;
  if (!competes(w) || !together || w.plan.options.head != HeadMethod::lbfgs) return {};
  const AnalysedModel& model = w.subject.model;
  const Layer& head = head_layer(w.subject);
  const ValueId read = model.program.node(head.node).inputs[0];
  const auto width = static_cast<double>(model.program.value(head.weight).content.toTensor().size(1));
  double features = 0;
  for (const Selection& keep : selections)
    features += width * kept_share(model.map, read, keep);
  const auto points = static_cast<double>(w.subject.data->points_each());
  return as_many_as_fit(w.subject, features * points * sizeof(float), most_joint_bytes);
}

/// The samples for fitting last layers: a part of `joint`. Undefined if they are not fitted.
at::Tensor last_samples(const Workshop& w, const std::vector<Selection>& selections, const at::Tensor& joint) {
  if (w.plan.options.calibration != CalibrationMethod::layers || !joint.defined()) return {};
  if (w.subject.data->positions.defined()) return {};  // a sample's inputs take too much memory
  const AnalysedModel& model = w.subject.model;
  const std::optional<Tail> tail = tail_of(w, model.program);
  if (!tail) return {};
  const TailInputs inputs = tail_inputs(w, model.program, *tail, w.subject.train.narrow(0, 0, 1));
  double bytes = 0;
  for (const Selection& keep : selections) {
    for (size_t i = 0; i < inputs.size(); ++i)
      bytes += static_cast<double>(inputs[i].nbytes()) * kept_share(model.map, tail->reads[i], keep);
  }
  const at::Tensor samples = as_many_as_fit(w.subject, bytes, most_last_bytes);
  const int64_t most = joint.size(0) - w.subject.validation.size(0);
  return samples.defined() ? samples.narrow(0, 0, std::min(samples.size(0), most)) : samples;
}

/// Fits all heads together. Sets heads, head_losses and validation_columns.
void join_heads(const Workshop& w, const std::vector<at::Tensor>& features, std::vector<Head> apart,
                const at::Tensor& samples, FittedModules& fitted) {
  const OutputKind kind = w.subject.model.kind;
  JointHeadData data;
  data.features = features;
  const at::Tensor classes = w.subject.fit.classes.index_select(0, w.subject.data->points(samples));
  data.columns = places_of(classes, w.subject.outputs).to(w.subject.model.program.device);
  data.validating = w.subject.validation.size(0) * w.subject.data->points_each();
  const std::vector<OutputSet>& sets = w.subject.modules;
  if (!sets.front().others)
    data.teacher =
        original_probabilities(w, samples.size(0) - w.subject.validation.size(0)).to(w.subject.model.program.device);
  JointHeads joint = fit_heads_together(data, apart, sets, kind);
  fitted.head_losses = joint.losses;
  fitted.heads = joint.heads.empty() ? std::move(apart) : std::move(joint.heads);
  std::vector<at::Tensor> columns;
  for (size_t m = 0; m < fitted.heads.size(); ++m) {
    const Head rows = log_odds_rows(fitted.heads[m], sets[m], kind);
    const at::Tensor read =
        features[m].narrow(0, features[m].size(0) - data.validating, data.validating).to(at::kDouble);
    const at::Tensor odds = products(read, rows.weight);
    columns.push_back(rows.bias.defined() ? odds + rows.bias : odds);
  }
  fitted.validation_columns = at::cat(columns, 1).cpu();
}

/// The targets of training on the first `count` training samples.
FinetuneData finetune_data(const Workshop& w, int64_t count) {
  const Subject& subject = w.subject;
  FinetuneData data;
  data.data = subject.data.get();
  data.train = subject.train.narrow(0, 0, count);
  data.validation = subject.validation;
  data.classes = subject.fit.classes;
  data.values = subject.fit.values;
  if (subject.task != Task::regression) data.original = original_probabilities(w, count);
  return data;
}

std::vector<double> train(const Workshop& w, const FinetuneData& data, FinetuneParams params, FittedModules& fitted) {
  params.calibrated = calibrates(w);
  params.workers = w.workers;
  const FinetuneResult result =
      finetune(fitted.programs, w.subject.modules, w.subject.model.kind, w.subject.task, data, params, w.progress);
  fitted.validation_columns = result.columns;
  return result.losses;
}

void fit_last_layers(const Workshop& w, std::vector<std::optional<TailData>> tails, const at::Tensor& samples,
                     FittedModules& fitted) {
  FinetuneData data = finetune_data(w, samples.size(0) - w.subject.validation.size(0));
  for (std::optional<TailData>& tail : tails)
    data.tails.push_back(std::move(*tail));
  FinetuneParams params;
  params.epochs = last_epochs;
  params.batch = last_batch;
  params.teacher = last_teacher;
  params.temperature = 1;
  params.stage = "fitting last layers";
  params.seed = derive_seed(w.plan.options.seed, "last layers");
  fitted.last_layer_losses = train(w, data, params, fitted);
}

void finetune_all(const Workshop& w, FittedModules& fitted) {
  FinetuneParams params;
  params.epochs = w.plan.options.finetune;
  params.seed = derive_seed(w.plan.options.seed, "fine-tuning");
  fitted.finetuning_losses = train(w, finetune_data(w, w.subject.train.size(0)), params, fitted);
}

}  // namespace

FittedModules fit_together(const Workshop& w, const std::vector<Selection>& selections) {
  const std::vector<OutputSet>& sets = w.subject.modules;
  const int64_t validating = w.subject.validation.size(0);
  const at::Tensor joint = with_validation(w.subject, joint_samples(w, selections));
  const at::Tensor last = with_validation(w.subject, last_samples(w, selections, joint));
  const bool keeps_programs = w.plan.options.finetune > 0 || last.defined();
  FittedModules fitted;
  fitted.slice_differences.resize(sets.size());
  fitted.programs.resize(keeps_programs ? sets.size() : 0);
  std::vector<at::Tensor> columns(sets.size()), features(sets.size());
  std::vector<Head> heads(sets.size());
  std::vector<std::optional<TailData>> tails(sets.size());
  const auto count = static_cast<int64_t>(sets.size());
  run_on_workers(
      count, w.workers,
      [&](int64_t number) {
        const auto m = static_cast<size_t>(number);
        MadeModule own = make_module(w, sets[m], selections[m], joint.defined());
        const Program& module = own.program;
        fitted.slice_differences[m] = own.slice_difference;
        if (joint.defined()) {
          if (std::optional<Tail> tail = last.defined() ? tail_of(w, module) : std::nullopt) {
            TailInputs inputs = tail_inputs(w, module, *tail, last);
            tails[m] = TailData{*std::move(tail), std::move(inputs)};
          }
          const bool same = tails[m] && last.size(0) == joint.size(0);
          features[m] = same ? head_features(w, module, *tails[m]) : head_features(w, module, joint);
          heads[m] = first_head(w, sets[m], features[m], joint, validating);
        } else if (validating > 0) {
          columns[m] = validation_scores(w, sets[m], module);
        }
        if (keeps_programs) fitted.programs[m] = std::move(own.program);
      },
      [&](int64_t done) {
        if (w.progress) w.progress({"making modules", done, count, "modules"});
      });
  if (joint.defined()) {
    join_heads(w, features, std::move(heads), joint, fitted);
  } else if (validating > 0) {
    fitted.validation_columns = at::cat(columns, 1);
  }
  if (!keeps_programs) return fitted;
  for (size_t m = 0; m < fitted.heads.size(); ++m)
    replace_head(head_layer(w.subject), fitted.heads[m], fitted.programs[m]);
  fitted.heads.clear();
  features.clear();
  if (std::all_of(tails.begin(), tails.end(), [](const auto& tail) { return tail.has_value(); }))
    fit_last_layers(w, std::move(tails), last, fitted);
  if (w.plan.options.finetune > 0) finetune_all(w, fitted);
  return fitted;
}

Program take_module(const Workshop& w, const std::vector<Selection>& selections, FittedModules& fitted, size_t module) {
  if (!fitted.programs.empty()) return std::move(fitted.programs[module]);
  const bool joins = !fitted.heads.empty();
  Program program = make_module(w, w.subject.modules[module], selections[module], joins).program;
  if (joins) replace_head(head_layer(w.subject), fitted.heads[module], program);
  return program;
}

bool calibrates(const Workshop& w) {
  const DecomposeOptions& options = w.plan.options;
  if (options.calibration == CalibrationMethod::none) return false;
  if (w.subject.task == Task::multilabel) return row_of(options.head).own && w.subject.validation.size(0) > 0;
  // A module by itself has the confidence that its head was fitted to, until fine-tuning changes it. The scale of a
  // softmax can drive several sigmoids to 1, and then none of them is the largest.
  return competes(w) &&
         (w.subject.modules.size() > 1 || (options.finetune > 0 && w.subject.model.kind != OutputKind::sigmoid));
}

}  // namespace incite
