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
  const TailInputs inputs = run_up_to(model.program, *tail, *w.subject.data, w.subject.train.narrow(0, 0, 1), 1);
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

std::vector<double> train(const Workshop& w, FinetuneData data, FinetuneParams params, FittedModules& fitted) {
  params.calibrated = calibrates(w);
  params.workers = w.workers;
  params.memory = w.memory;
  const FinetuneResult result = finetune(fitted.programs, w.subject.modules, w.subject.model.kind, w.subject.task,
                                         std::move(data), params, w.progress);
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
  fitted.last_layer_losses = train(w, std::move(data), params, fitted);
}

void finetune_all(const Workshop& w, FittedModules& fitted) {
  FinetuneParams params;
  params.epochs = w.plan.options.finetune;
  params.seed = derive_seed(w.plan.options.seed, "fine-tuning");
  fitted.finetuning_losses = train(w, finetune_data(w, w.subject.train.size(0)), params, fitted);
}

/// Makes modules, and collects what fitting them together takes.
class ModulesToFit {
 public:
  ModulesToFit(const Workshop& w, const std::vector<Selection>& selections, FittedModules& fitted)
      : w_(w),
        sets_(w.subject.modules),
        selections_(selections),
        joint_(with_validation(w.subject, joint_samples(w, selections))),
        last_(with_validation(w.subject, last_samples(w, selections, joint_))),
        fitted_(fitted),
        columns_(sets_.size()),
        features_(sets_.size()),
        heads_(sets_.size()),
        tails_(sets_.size()) {
    fitted.slice_differences.resize(sets_.size());
    fitted.programs.resize(sets_.size());
  }

  void run() {
    in_batches(static_cast<int64_t>(sets_.size()), modules_at_once(w_), [&](int64_t first, int64_t count) {
      make(first, count);
      if (joint_.defined()) {
        collect_features(first, count);
      } else if (w_.subject.validation.size(0) > 0) {
        collect_columns(first, count);
      }
      if (keeps_programs()) return;
      for (int64_t m = first; m < first + count; ++m)
        program(m) = Program();
    });
    if (!keeps_programs()) fitted_.programs.clear();
  }

  bool keeps_programs() const { return w_.plan.options.finetune > 0 || last_.defined(); }

  const at::Tensor& joint() const { return joint_; }
  const at::Tensor& last() const { return last_; }
  std::vector<at::Tensor>& columns() { return columns_; }
  std::vector<at::Tensor>& features() { return features_; }
  std::vector<Head>& heads() { return heads_; }
  std::vector<std::optional<TailData>>& tails() { return tails_; }

 private:
  Program& program(int64_t module) { return fitted_.programs[static_cast<size_t>(module)]; }
  const Selection& selection(int64_t module) const { return selections_[static_cast<size_t>(module)]; }
  const OutputSet& set(int64_t module) const { return sets_[static_cast<size_t>(module)]; }

  void make(int64_t first, int64_t count) {
    const auto all = static_cast<int64_t>(sets_.size());
    run_on_workers(
        count, w_.workers,
        [&](int64_t number) {
          const int64_t m = first + number;
          MadeModule own = make_module(w_, set(m), selection(m), joint_.defined());
          fitted_.slice_differences[static_cast<size_t>(m)] = own.slice_difference;
          columns_[static_cast<size_t>(m)] = own.columns;
          program(m) = std::move(own.program);
        },
        [&](int64_t done) {
          if (w_.progress) w_.progress({"making modules", first + done, all, "modules"});
        });
  }

  void collect_columns(int64_t first, int64_t count) {
    std::vector<int64_t> others;  // modules whose head did not tell them
    std::vector<SliceRun> runs;
    for (int64_t m = first; m < first + count; ++m) {
      if (columns_[static_cast<size_t>(m)].defined()) continue;
      others.push_back(m);
      runs.push_back(column_run(w_, program(m), selection(m), set(m)));
    }
    auto found = run_side_by_side(w_, runs, w_.subject.validation);
    for (size_t i = 0; i < others.size(); ++i)
      columns_[static_cast<size_t>(others[i])] = std::move(found[i].front());
  }

  /// Of the tails, if last layers are fitted, and of the heads; and fits each head alone.
  void collect_features(int64_t first, int64_t count) {
    if (last_.defined()) collect_tails(first, count);
    std::vector<int64_t> others;  // modules whose tail did not tell the features
    std::vector<SliceRun> runs;
    for (int64_t m = first; m < first + count; ++m) {
      if (has_features_of_tail(m) || !has_head_run(w_.subject)) continue;
      others.push_back(m);
      runs.push_back(head_run(w_, program(m), selection(m)));
    }
    auto found = run_side_by_side(w_, runs, joint_);
    for (size_t i = 0; i < others.size(); ++i)
      features_[static_cast<size_t>(others[i])] = std::move(found[i].front());
    run_on_workers(count, w_.workers, [&](int64_t number) {
      const int64_t m = first + number;
      const auto place = static_cast<size_t>(m);
      if (has_features_of_tail(m)) {
        features_[place] = head_features(w_, program(m), *tails_[place]);
      } else if (!features_[place].defined()) {
        features_[place] = head_features(w_, program(m), joint_);
      }
      heads_[place] = first_head(w_, set(m), features_[place], joint_, w_.subject.validation.size(0));
    });
  }

  bool has_features_of_tail(int64_t module) const {
    return tails_[static_cast<size_t>(module)] && last_.size(0) == joint_.size(0);
  }

  void collect_tails(int64_t first, int64_t count) {
    std::vector<std::optional<Tail>> tails(static_cast<size_t>(count));
    run_on_workers(count, w_.workers,
                   [&](int64_t m) { tails[static_cast<size_t>(m)] = tail_of(w_, program(first + m)); });
    std::vector<int64_t> with_tail;
    std::vector<SliceRun> runs;
    for (int64_t m = 0; m < count; ++m) {
      if (!tails[static_cast<size_t>(m)]) continue;
      with_tail.push_back(m);
      runs.push_back(tail_run(program(first + m), *tails[static_cast<size_t>(m)], selection(first + m)));
    }
    auto found = run_side_by_side(w_, runs, last_);
    for (size_t i = 0; i < with_tail.size(); ++i) {
      const auto m = static_cast<size_t>(with_tail[i]);
      tails_[static_cast<size_t>(first) + m] = TailData{*std::move(tails[m]), std::move(found[i])};
    }
  }

  const Workshop& w_;
  const std::vector<OutputSet>& sets_;
  const std::vector<Selection>& selections_;
  const at::Tensor joint_, last_;  // samples; undefined: heads, last layers are not fitted together
  FittedModules& fitted_;
  std::vector<at::Tensor> columns_, features_;
  std::vector<Head> heads_;
  std::vector<std::optional<TailData>> tails_;
};

}  // namespace

FittedModules fit_together(const Workshop& w, const std::vector<Selection>& selections) {
  FittedModules fitted;
  ModulesToFit collected(w, selections, fitted);
  collected.run();
  if (collected.joint().defined()) {
    join_heads(w, collected.features(), std::move(collected.heads()), collected.joint(), fitted);
  } else if (w.subject.validation.size(0) > 0) {
    fitted.validation_columns = at::cat(collected.columns(), 1);
  }
  if (!collected.keeps_programs()) return fitted;
  for (size_t m = 0; m < fitted.heads.size(); ++m)
    replace_head(head_layer(w.subject), fitted.heads[m], fitted.programs[m]);
  fitted.heads.clear();
  collected.features().clear();
  std::vector<std::optional<TailData>>& tails = collected.tails();
  if (std::all_of(tails.begin(), tails.end(), [](const auto& tail) { return tail.has_value(); }))
    fit_last_layers(w, std::move(tails), collected.last(), fitted);
  if (w.plan.options.finetune > 0) finetune_all(w, fitted);
  return fitted;
}

Program take_module(const Workshop& w, const std::vector<Selection>& selections, FittedModules& fitted, size_t module) {
  if (!fitted.programs.empty()) return std::move(fitted.programs[module]);
  const bool joins = !fitted.heads.empty();
  Program program = made_before(w, w.subject.modules[module], selections[module], joins);
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
