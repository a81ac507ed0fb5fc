#include "module_set.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "checkpoint_files.hpp"
#include "incite/base/error.hpp"
#include "incite/base/random.hpp"
#include "incite/base/workers.hpp"
#include "incite/program/load.hpp"
#include "incite/program/save.hpp"
#include "module_quality.hpp"

namespace incite {
namespace {

constexpr int64_t most_joint_bytes = 256 << 20;  // of what all heads read
constexpr int64_t most_last_bytes = 512 << 20;   // of what the last layers of all modules read
constexpr int64_t last_epochs = 8;
constexpr int64_t last_batch = 256;   // samples
constexpr double last_teacher = 0.5;  // share; with more of it Fashion-MNIST's modules lost more on unseen samples

}  // namespace

ModuleSet::ModuleSet(const DecomposeOptions& options, const ModuleSource& source, const std::vector<Cluster>& clusters,
                     const at::Tensor& scores, std::vector<int64_t> outputs, std::string key, StagedFiles& files,
                     const Progress& progress)
    : options_(options),
      source_(source),
      clusters_(clusters),
      scores_(scores),
      outputs_(std::move(outputs)),
      key_(std::move(key)),
      files_(files),
      progress_(progress),
      maker_(options, source),
      count_(source.program, source.map, head_rows(options.head, source.task)),
      workers_(source.program.device.is_cpu() ? at::get_num_threads() : 1) {}

void ModuleSet::choose() {
  if (options_.max_loss) return search();
  selections_ = selections_for(options_.target_compression.value_or(default_compression));
}

/// Units whose loss changes nothing go whatever the budget says. Other metrics give 0 to what does not matter enough.
std::vector<bool> ModuleSet::dead(int64_t output) const {
  const bool exact = options_.metric
                         ? *options_.metric == Metric::probability || *options_.metric == Metric::absolute
                         : source_.task == Task::regression || options_.classification_metric == Metric::probability;
  const bool removes = std::find(options_.factors.begin(), options_.factors.end(), 0.0) != options_.factors.end();
  std::vector<bool> dead(clusters_.size(), false);
  if (!exact || !removes) return dead;
  const at::Tensor column = scores_.select(1, output).contiguous();
  for (size_t c = 0; c < clusters_.size(); ++c)
    dead[c] = column.data_ptr<double>()[c] == 0;
  return dead;
}

std::vector<Selection> ModuleSet::selections_for(double compression) const {
  CompressParams params;
  params.allocation = options_.allocation;
  params.parameters = static_cast<int64_t>(static_cast<double>(source_.parameters) / compression);
  std::vector<Selection> selections(outputs_.size());
  run_on_workers(static_cast<int64_t>(outputs_.size()), workers_, [&](int64_t number) {
    const auto m = static_cast<size_t>(number);
    const std::vector<bool> gone = dead(outputs_[m]);
    if (options_.keep) {
      selections[m] = select(source_.map, clusters_, scores_, outputs_[m], *options_.keep);
      remove_dead(source_.map, clusters_, gone, selections[m]);
    } else {
      CompressParams own = params;
      own.dead = gone;
      selections[m] = compress(count_, source_.map, clusters_, scores_, outputs_[m], own);
    }
  });
  return selections;
}

std::string ModuleSet::checkpoint(size_t module, const Selection& keep, bool joins) const {
  std::string bits(keep.size(), '0');
  for (size_t unit = 0; unit < keep.size(); ++unit) {
    if (keep[unit]) bits[unit] = '1';
  }
  return module_checkpoint_name(sha256(fmt::format("{}\n{}\n{}\n{}", key_, outputs_[module], bits, joins)));
}

/// A module before fine-tuning and calibration: from its checkpoint if there is one. `joins`: all heads will be fitted
/// together, and it has none yet.
Program ModuleSet::made(size_t module, const Selection& keep, bool joins, double& difference) const {
  Program body = maker_.checked_slice(outputs_[module], keep, difference);
  const std::string name = checkpoint(module, keep, joins);
  const std::filesystem::path file = options_.out / name;
  std::error_code error;
  if (std::filesystem::exists(file, error)) return load_program(file, maker_.first_batch());
  const Program program = maker_.make(outputs_[module], keep, std::move(body), joins);
  files_.put(name, serialise(program));
  // What is read back may differ in the order of its nodes: always the same is used, made now or by a run that was
  // stopped.
  return load_program(file, maker_.first_batch());
}

/// Makes the modules of `selections`; returns what they say of the validation samples: [samples, modules].
at::Tensor ModuleSet::make_all(const std::vector<Selection>& selections) {
  const auto count = static_cast<int64_t>(outputs_.size());
  const at::Tensor joint = with_validation(joint_samples(selections));
  const at::Tensor last = joint.defined() ? with_validation(last_samples(selections, joint)) : at::Tensor();
  differences_.assign(outputs_.size(), 0);
  tuned_.clear();
  heads_.clear();
  head_losses_.clear();
  last_losses_.clear();
  std::vector<Program> modules(options_.finetune > 0 || last.defined() ? outputs_.size() : 0);
  std::vector<at::Tensor> columns(outputs_.size()), features(outputs_.size());
  std::vector<Head> heads(outputs_.size());
  std::vector<std::optional<TailData>> tails(outputs_.size());
  run_on_workers(
      count, workers_,
      [&](int64_t number) {
        const auto m = static_cast<size_t>(number);
        Program module = made(m, selections[m], joint.defined(), differences_[m]);
        if (joint.defined()) {
          tails[m] = last.defined() ? maker_.tail(module, last) : std::nullopt;
          const bool same = tails[m] && last.size(0) == joint.size(0);
          features[m] = same ? maker_.head_features(module, *tails[m]) : maker_.head_features(module, joint);
          heads[m] = maker_.first_head(outputs_[m], features[m], joint, source_.validation.size(0));
        } else if (source_.validation.size(0) > 0) {
          columns[m] = maker_.validation_scores(outputs_[m], module);
        }
        if (!modules.empty()) modules[m] = std::move(module);
      },
      [&](int64_t done) {
        if (progress_) progress_({"making modules", done, count, "modules"});
      });
  at::Tensor said;
  if (joint.defined()) {
    said = join_heads(features, std::move(heads), joint);
  } else if (source_.validation.size(0) > 0) {
    said = at::stack(columns, 1);
  }
  if (modules.empty()) return said;
  for (size_t m = 0; m < heads_.size(); ++m)
    replace_head(maker_.head_names(), heads_[m], modules[m]);
  features.clear();
  if (std::all_of(tails.begin(), tails.end(), [](const auto& tail) { return tail.has_value(); }))
    said = fit_last_layers(modules, std::move(tails), last);
  if (options_.finetune > 0) said = finetune_all(modules);
  tuned_ = std::move(modules);
  return said;
}

at::Tensor ModuleSet::with_validation(const at::Tensor& samples) const {
  return samples.defined() ? at::cat({samples, source_.validation}) : samples;
}

/// How many positions along the labelled axis of a value of the original stay, of all.
double ModuleSet::kept_share(ValueId value, const Selection& keep) const {
  const std::vector<int32_t>& units = source_.map.activations[static_cast<size_t>(value)].units;
  if (units.empty()) return 1;
  const auto gone = std::count_if(units.begin(), units.end(),
                                  [&](int32_t unit) { return unit != no_unit && !keep[static_cast<size_t>(unit)]; });
  return 1 - static_cast<double>(gone) / static_cast<double>(units.size());
}

/// Of the samples to learn from, as many as are used where all modules keep so much of each. Undefined where too few
/// fit for any use: there are too many modules.
at::Tensor ModuleSet::as_many_as_fit(double bytes_a_sample, int64_t bytes) const {
  const auto samples =
      std::min(static_cast<int64_t>(static_cast<double>(bytes) / std::max(bytes_a_sample, 1.0)), source_.train.size(0));
  if (samples < 2 * static_cast<int64_t>(outputs_.size())) return {};
  return source_.train.narrow(0, 0, samples);
}

/// The samples that heads are fitted to together. Undefined where heads stay as they were fitted, each for itself.
at::Tensor ModuleSet::joint_samples(const std::vector<Selection>& selections) const {
  const bool together =
      options_.calibration == CalibrationMethod::heads || options_.calibration == CalibrationMethod::layers;
  if (!calibrates() || !together || options_.head != HeadMethod::lbfgs) return {};
  const Layer& head = source_.map.layers[static_cast<size_t>(source_.map.head)];
  const ValueId read = source_.program.node(head.node).inputs[0];
  const auto width = static_cast<double>(source_.program.value(head.weight).content.toTensor().size(1));
  double features = 0;
  for (const Selection& keep : selections)
    features += width * kept_share(read, keep);
  return as_many_as_fit(features * sizeof(float), most_joint_bytes);
}

/// The samples that the last layers are fitted to, of those that heads are.
at::Tensor ModuleSet::last_samples(const std::vector<Selection>& selections, const at::Tensor& joint) const {
  if (options_.calibration != CalibrationMethod::layers) return {};
  const std::optional<Tail> tail = maker_.tail(source_.program);
  if (!tail) return {};
  const TailInputs inputs = maker_.tail_inputs(source_.program, *tail, source_.train.narrow(0, 0, 1));
  double bytes = 0;
  for (const Selection& keep : selections) {
    for (size_t i = 0; i < inputs.size(); ++i)
      bytes += static_cast<double>(inputs[i].nbytes()) * kept_share(tail->reads[i], keep);
  }
  const at::Tensor samples = as_many_as_fit(bytes, most_last_bytes);
  const int64_t most = joint.size(0) - source_.validation.size(0);
  return samples.defined() ? samples.narrow(0, 0, std::min(samples.size(0), most)) : samples;
}

/// Fits all heads together; returns what the modules then say of the validation samples.
at::Tensor ModuleSet::join_heads(const std::vector<at::Tensor>& features, std::vector<Head> apart,
                                 const at::Tensor& samples) {
  JointHeadData data;
  data.features = features;
  data.modules = modules_of(source_.fit.classes.index_select(0, samples), outputs_).to(source_.program.device);
  data.validating = source_.validation.size(0);
  JointHeads joint = fit_heads_together(data, apart, source_.kind);
  head_losses_ = joint.losses;
  heads_ = joint.heads.empty() ? std::move(apart) : std::move(joint.heads);
  std::vector<at::Tensor> columns;
  for (size_t m = 0; m < heads_.size(); ++m) {
    const Head row = log_odds_row(heads_[m], source_.kind);
    const at::Tensor read = features[m].narrow(0, samples.size(0) - data.validating, data.validating).to(at::kDouble);
    columns.push_back(row.bias.defined() ? at::mv(read, row.weight) + row.bias : at::mv(read, row.weight));
  }
  return at::stack(columns, 1).cpu();
}

/// What modules are trained to on the first `count` samples to learn from, or all.
FinetuneData ModuleSet::finetune_data(int64_t count) const {
  FinetuneData data;
  data.data = source_.fit.data;
  data.train = source_.train.narrow(0, 0, count);
  data.validation = source_.validation;
  data.classes = source_.fit.classes;
  data.values = source_.fit.values;
  if (source_.task == Task::classification) {
    const bool known = source_.original.defined() && source_.original.size(0) >= count;
    data.original = known ? source_.original.narrow(0, 0, count)
                          : probabilities(outputs_for(source_.program, *data.data, data.train), source_.kind);
  }
  return data;
}

/// `samples`: those to learn from, and those that validate. Returns what the modules then say of the latter.
at::Tensor ModuleSet::fit_last_layers(std::vector<Program>& modules, std::vector<std::optional<TailData>> tails,
                                      const at::Tensor& samples) {
  FinetuneData data = finetune_data(samples.size(0) - source_.validation.size(0));
  for (std::optional<TailData>& tail : tails)
    data.tails.push_back(std::move(*tail));
  FinetuneParams params;
  params.epochs = last_epochs;
  params.batch = last_batch;
  params.teacher = last_teacher;
  params.stage = "fitting last layers";
  params.calibrated = calibrates();
  params.seed = derive_seed(options_.seed, "last layers");
  params.workers = workers_;
  const FinetuneResult done = finetune(modules, outputs_, source_.kind, source_.task, data, params, progress_);
  last_losses_ = done.losses;
  return done.columns;
}

/// Returns what the modules then say of the validation samples.
at::Tensor ModuleSet::finetune_all(std::vector<Program>& modules) {
  FinetuneParams params;
  params.epochs = options_.finetune;
  params.calibrated = calibrates();
  params.seed = derive_seed(options_.seed, "fine-tuning");
  params.workers = workers_;
  finetuning_ =
      finetune(modules, outputs_, source_.kind, source_.task, finetune_data(source_.train.size(0)), params, progress_);
  return finetuning_.columns;
}

bool ModuleSet::calibrates() const {
  return options_.calibration != CalibrationMethod::none && source_.task == Task::classification &&
         options_.head != HeadMethod::original && outputs_.size() > 1 && source_.validation.size(0) > 0;
}

void ModuleSet::make() {
  const at::Tensor columns = make_all(selections_);
  calibrations_.assign(outputs_.size(), Calibration{});
  if (calibrates())
    calibrations_ = calibrate(columns, modules_of(source_.fit.classes.index_select(0, source_.validation), outputs_));
}

void ModuleSet::for_each(const std::function<void(size_t, const Program&)>& use) {
  const bool changes = calibrates();  // a module's head, after it was written
  const HeadNames names = changes ? maker_.head_names() : HeadNames{};
  const auto count = static_cast<int64_t>(outputs_.size());
  run_on_workers(
      count, workers_,
      [&](int64_t number) {
        const auto m = static_cast<size_t>(number);
        double ignored = 0;
        Program module = tuned_.empty() ? made(m, selections_[m], !heads_.empty(), ignored) : std::move(tuned_[m]);
        if (tuned_.empty() && !heads_.empty()) replace_head(names, heads_[m], module);
        if (changes) replace_head(names, calibrated(head_of(names, module), calibrations_[m], source_.kind), module);
        use(m, module);
      },
      [&](int64_t done) {
        if (progress_) progress_({"writing modules", done, count, "modules"});
      });
}

/// The largest compression, of the steps, whose modules lose no more than they may, by what the validation samples
/// leave to doubt: bisection, since smaller modules lose more.
void ModuleSet::search() {
  const ModuleLoss loss(source_, outputs_, calibrates());
  const auto compression = [](int64_t step) {
    return std::exp2(static_cast<double>(step) / static_cast<double>(search_steps_per_octave));
  };
  const auto good = [&](int64_t step) {
    const SearchStep found = loss(make_all(selections_for(compression(step))), compression(step));
    steps_.push_back(found);
    return found.bound() <= *options_.max_loss;
  };
  int64_t small = 0, step = 2 * search_steps_per_octave;  // small: taken, whether or not it is good enough
  int64_t large = 8 * search_steps_per_octave;            // not tried: 256 times smaller
  while (large - small > 1) {
    (good(step) ? small : large) = step;
    // Up and down by doubling at first, since most models lie near the start.
    step = large == 8 * search_steps_per_octave ? std::min(small + search_steps_per_octave, (small + large + 1) / 2)
                                                : (small + large) / 2;
  }
  selections_ = selections_for(compression(small));
}

}  // namespace incite
