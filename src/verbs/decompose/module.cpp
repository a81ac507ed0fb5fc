#include "verbs/decompose/module.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "base/workers.hpp"
#include "program/executor.hpp"
#include "program/for_running.hpp"
#include "program/load.hpp"
#include "program/read_module.hpp"
#include "slicing/calibration.hpp"
#include "slicing/convex.hpp"
#include "slicing/repair.hpp"
#include "slicing/slice.hpp"
#include "store/checkpoint_files.hpp"
#include "subject/samples.hpp"

namespace incite {
namespace {

constexpr int64_t most_repair_samples = 4096;               // of each kind: see repair_samples
constexpr int64_t most_first_samples = 4096;                // for a head, if all heads are fitted together later
constexpr int64_t most_at_once = 1024;                      // samples
constexpr int64_t most_program_bytes = int64_t{512} << 20;  // the original's weights, once for each module of a run
constexpr int64_t most_last_layers = 2;                     // hidden layers that are fitted together with the heads
constexpr int64_t most_probabilities = 1 << 26;             // of the original, kept in memory while modules are made
constexpr int64_t most_head_points = 1 << 18;               // of outputs that have positions
constexpr int64_t channels_at_once = 32;                    // that are resampled

Batch first_batch(const Subject& subject) {
  return first_samples(*subject.data, subject.model.program.device);
}

int64_t samples_at_once(const Subject& subject, const Program& module) {
  return batch_size(module, first_batch(subject), most_at_once);
}

FittableHead place_of_head(const Subject& subject) {
  return fittable_head(subject.model.program, subject.model.map, subject.task);
}

/// The original's probabilities for the first training samples, as many as a fixed size holds; undefined if not needed.
at::Tensor known_probabilities(const Plan& plan, const Subject& subject) {
  const bool whole =
      std::any_of(subject.modules.begin(), subject.modules.end(), [](const OutputSet& set) { return !set.others; });
  const bool needed = plan.options.repair != RepairMethod::none || plan.options.finetune > 0 || whole;
  if (subject.task == Task::regression || !needed) return {};
  const AnalysedModel& model = subject.model;
  const int64_t samples =
      std::min(subject.train.size(0), most_probabilities / model.outputs / subject.data->points_each());
  return probabilities(outputs_for(model.program, *subject.data, subject.train.narrow(0, 0, samples)), model.kind);
}

// ---- Slice --------------------------------------------------------------------------------------------------------

/// The slice of the original. Throws Error (internal) if it differs from the masked original.
Program checked_slice(const Subject& subject, const OutputSet& set, const Selection& keep, double& difference) {
  const AnalysedModel& model = subject.model;
  Program body = slice(model.program, model.map, keep);
  difference = slice_difference(model.program, model.map, keep, body, first_batch(subject));
  if (difference <= slice_tolerance) return body;
  fail(ExitCode::internal,
       "module {}: the slice differs from the masked original by {:.2g} (at most {:.2g} is allowed), so it is not "
       "written; please report this model",
       set.label(), difference, slice_tolerance);
}

/// A head of zeros, with `rows` rows.
Head empty_head(const Subject& subject, const Program& body, int64_t rows) {
  const Layer& layer = head_layer(subject);
  const at::Tensor weight = body.value(layer.weight).content.toTensor();
  Head head{at::zeros({rows, weight.size(1)}, weight.options()), {}};
  if (layer.bias >= 0) head.bias = at::zeros({rows}, weight.options());
  return head;
}

/// The module's program, sliced, with the original's weights. Its own head, if it gets one, is 0.
Program module_code(const Workshop& w, const Program& body, const OutputSet& set, const Selection& keep) {
  if (!row_of(w.plan.options.head).own) return body;
  const Subject& subject = w.subject;
  const FittableHead place = place_of_head(subject);
  const std::vector<int32_t>& units = place.layer.units;
  // Slice the head to as many channels as the new head has rows.
  Selection with_rows = keep;
  for (const int32_t unit : units)
    with_rows[at_index(unit)] = false;
  for (const int64_t output : set.outputs)
    with_rows[at_index(units[static_cast<size_t>(output)])] = true;
  if (set.others) {
    const auto other =
        std::find_if(units.begin(), units.end(), [&](int32_t unit) { return !with_rows[at_index(unit)]; });
    with_rows[at_index(*other)] = true;
  }
  Program module = slice(subject.model.program, subject.model.map, with_rows);
  put_head(place, empty_head(subject, body, set.rows()), subject.task, module);
  return module;
}

// ---- Checkpoint ---------------------------------------------------------------------------------------------------

std::string checkpoint_file(const Workshop& w, const OutputSet& set, const Selection& keep, bool empty_head) {
  std::string bits(keep.size(), '0');
  for (size_t unit = 0; unit < keep.size(); ++unit) {
    if (keep[unit]) bits[unit] = '1';
  }
  return module_checkpoint_name(
      sha256(fmt::format("{}\n{}\n{}\n{}", w.plan.modules_key, fmt::join(set.outputs, ","), bits, empty_head)));
}

/// The parameters of a module, in the order of its values.
std::vector<at::Tensor> parameters_of(const Program& module) {
  std::vector<at::Tensor> parameters;
  for (const Value& value : module.values) {
    if (value.kind == Value::Kind::parameter && value.content.isTensor())
      parameters.push_back(value.content.toTensor());
  }
  return parameters;
}

std::string serialised(const std::vector<at::Tensor>& tensors) {
  c10::List<at::Tensor> list;
  for (const at::Tensor& tensor : tensors)
    list.push_back(tensor.detach().cpu().contiguous());
  const std::vector<char> bytes = torch::jit::pickle_save(c10::IValue(list));
  return {bytes.begin(), bytes.end()};
}

/// Sets the parameters of a module from a checkpoint. Returns false if there is none that fits.
bool read_checkpoint(const std::filesystem::path& file, Program& module) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return false;
  const std::string bytes = read_text(file);
  const c10::List<at::Tensor> tensors = torch::jit::pickle_load({bytes.begin(), bytes.end()}).toTensorList();
  const std::vector<at::Tensor> places = parameters_of(module);
  if (tensors.size() != places.size()) return false;
  size_t next = 0;
  for (Value& value : module.values) {
    if (value.kind != Value::Kind::parameter || !value.content.isTensor()) continue;
    const at::Tensor& tensor = tensors.get(next++);
    INCITE_ASSERT(tensor.sizes() == value.content.toTensor().sizes());
    value.content = tensor.to(module.device);
  }
  return true;
}

// ---- Repair -------------------------------------------------------------------------------------------------------

/// Whether each training sample is of a class of the set, or has a label of it: [n] bool.
at::Tensor own_samples(const Subject& subject, const OutputSet& set) {
  if (subject.task == Task::classification)
    return places_of(subject.fit.classes.index_select(0, subject.train), set.outputs) >= 0;
  const at::Tensor labels = subject.fit.values.index_select(1, at::tensor(set.outputs, at::kLong));
  return (labels.index_select(0, subject.train) > 0).any(1);
}

/// Samples to repair a module on: those of its classes or labels, as many that the original most likely confuses with
/// them, and as many others. Any samples for a regression, for a set of all outputs, where a sample has many classes at
/// its positions, and where there are no others.
at::Tensor repair_samples(const Workshop& w, const OutputSet& set) {
  const at::Tensor& train = w.subject.train;
  const at::Tensor any = train.narrow(0, 0, std::min(train.size(0), 2 * most_repair_samples));
  const bool has_own = w.subject.task != Task::regression && !w.subject.data->positions.defined();
  if (!has_own || set.size() == w.subject.model.outputs) return any;
  const at::Tensor own = own_samples(w.subject, set);
  const at::Tensor positives = own.nonzero().flatten();
  const at::Tensor known = own.narrow(0, 0, w.original.size(0));
  const at::Tensor likely = w.original.index_select(1, at::tensor(set.outputs, at::kLong)).sum(1);
  const at::Tensor similar = likely.masked_fill(known, -1).argsort(true, 0, true);
  const int64_t count = std::min({positives.size(0), known.logical_not().sum().item<int64_t>(), most_repair_samples});
  if (count == 0) return any;
  const at::Tensor hard = similar.narrow(0, 0, count);
  const at::Tensor rest = own.logical_not().index_fill(0, hard, false).nonzero().flatten();
  std::vector<at::Tensor> kinds = {positives.narrow(0, 0, count), hard};
  if (rest.size(0) >= count) kinds.push_back(rest.narrow(0, 0, count));
  // Interleaved, so that every part of them has as many of each kind.
  return train.index_select(0, at::stack(kinds, 1).flatten());
}

void repair_body(const Workshop& w, Program& body, const Selection& keep, const OutputSet& set) {
  const DecomposeOptions& options = w.plan.options;
  RepairParams params;
  params.method = options.repair;
  params.head = !row_of(options.head).own;
  params.memory = w.memory;
  params.seed = derive_seed(options.seed, fmt::format("repair {}", fmt::join(set.outputs, ",")));
  const AnalysedModel& model = w.subject.model;
  repair(model.program, model.map, keep, *w.subject.data, repair_samples(w, set), params, body);
}

// ---- Head ---------------------------------------------------------------------------------------------------------

/// How many samples fit into memory while a head with so many features is fitted in double precision.
int64_t most_head_samples(const Workshop& w, int64_t features) {
  const int64_t row = features * 4 * static_cast<int64_t>(sizeof(double));
  const int64_t points = std::max<int64_t>(w.memory / std::max<int64_t>(row, 1), 1000);
  const int64_t each = w.subject.data->points_each();
  return each == 1 ? points : std::max<int64_t>(std::min(points, most_head_points) / each, 1);
}

/// Samples to fit a head on. The last `validating` samples choose its penalty; a method that needs no validation gets
/// all.
at::Tensor head_samples(const Workshop& w, int64_t features, int64_t& validating) {
  const at::Tensor& all = w.subject.train;
  const at::Tensor& validation = w.subject.validation;
  const at::Tensor train = all.narrow(0, 0, std::min(most_head_samples(w, features), all.size(0)));
  if (!row_of(w.plan.options.head).needs_validation) return at::cat({train, validation});
  validating = std::min(train.size(0), validation.size(0));
  return at::cat({train, validation.narrow(0, 0, validating)});
}

/// The node of a module's head.
NodeId head_node(const Subject& subject, const Program& module) {
  const ValueId weight = head_layer(subject).weight;
  const auto reader = std::find_if(module.nodes.rbegin(), module.nodes.rend(), [&](const Node& one) {
    return std::find(one.inputs.begin(), one.inputs.end(), weight) != one.inputs.end();
  });
  INCITE_ASSERT(reader != module.nodes.rend());
  return static_cast<NodeId>(module.nodes.rend() - reader - 1);
}

/// What the module says of the validation samples, whose features are the last `count` rows: as its columns are.
at::Tensor said_by_head(const Workshop& w, const Head& head, const OutputSet& set, const at::Tensor& features,
                        int64_t count) {
  const Head rows = log_odds_rows(head, set, w.subject.model.kind);
  const at::Tensor odds = products(features.narrow(0, features.size(0) - count, count).to(at::kDouble), rows.weight);
  return (rows.bias.defined() ? odds + rows.bias : odds).cpu();
}

/// `columns`: set to what the module says of the validation samples, where fitting the head shows it.
Head fitted_head(const Workshop& w, const Program& body, const OutputSet& set, at::Tensor& columns) {
  const FittableHead place = place_of_head(w.subject);
  const Layer& layer = place.layer;
  const TestSet& fit = w.subject.fit;
  const at::Device device = body.device;
  Head original;
  original.weight = body.value(layer.weight).content.toTensor().flatten(1);
  HeadData data;
  int64_t validating = 0;
  at::Tensor samples = head_samples(w, original.weight.size(1), validating);
  const int64_t fitted = samples.size(0) - validating;
  data.validating = validating * w.subject.data->points_each();
  data.has_bias = layer.bias >= 0;
  data.kind = w.subject.model.kind;
  if (data.has_bias) original.bias = body.value(layer.bias).content.toTensor();
  HeadParams params;
  params.method = w.plan.options.head;
  params.epochs = w.plan.options.epochs;
  params.seed = derive_seed(w.plan.options.seed, fmt::format("head {}", fmt::join(set.outputs, ",")));
  if (w.subject.task == Task::classification) {
    at::Tensor rows = rows_of_head(fit.classes.index_select(0, w.subject.data->points(samples)), set);
    if (row_of(params.method).balances) {
      const at::Tensor balanced = balanced_rows(rows, set, params.seed);
      samples = samples.index_select(0, balanced);
      rows = rows.index_select(0, balanced);
    } else if (!set.others) {
      data.teacher = original_probabilities(w, fitted).to(device);
    }
    data.features = head_features(w, body, samples);
    data.rows = rows.to(device);
    const Head head = fit_classification_head(data, original, set, params);
    if (validating > 0 && validating == w.subject.validation.size(0))
      columns = said_by_head(w, head, set, data.features, data.validating);
    return head;
  }
  data.features = head_features(w, body, samples);
  data.rectified = !place.relus.empty();
  const at::Tensor outputs = at::tensor(set.outputs, at::kLong);
  data.values = fit.values.index_select(0, w.subject.data->points(samples)).index_select(1, outputs).to(device);
  if (w.subject.task == Task::multilabel) {
    if (row_of(params.method).needs_validation) {
      const at::Tensor all = original_probabilities(w, fitted);
      data.teacher = all.index_select(1, outputs).to(device);
    }
    return fit_multilabel_head(data, original, set, params);
  }
  return fit_regression_head(data, original, set, params);
}

/// The features [n, features, positions...] of a head, resampled as its outputs are, at the points of the samples: some
/// channels at a time, since there are many more than outputs.
at::Tensor resampled_features(const Workshop& w, const Executor& executor, const FittableHead& head,
                              const Environment& environment, const at::Tensor& features, const at::Tensor& samples) {
  const Program& module = executor.program();
  std::vector<at::Tensor> parts;
  in_batches(features.size(1), channels_at_once, [&](int64_t first, int64_t count) {
    at::Tensor values = features.narrow(1, first, count);
    for (const ValueId value : head.resampled) {
      const NodeId node = module.maker(value);
      std::vector<c10::IValue> inputs;
      for (const ValueId input : module.node(node).inputs)
        inputs.push_back(environment[at_index(input)]);
      std::vector<int64_t> shape = inputs[0].toTensor().sizes().vec();
      shape[1] = count;
      inputs[0] = values.reshape(shape);
      values = executor.apply(node, std::move(inputs))[0].toTensor();
    }
    parts.push_back(w.subject.data->at_points(values, samples));
  });
  return at::cat(parts, 1);
}

}  // namespace

Workshop workshop(const Plan& plan, const Subject& subject, StagedFiles& files, const Progress& progress) {
  const int64_t workers = workers_for(subject.model.program.device);
  const int64_t side_by_side = std::min(workers, static_cast<int64_t>(subject.modules.size()));
  return {.plan = plan,
          .subject = subject,
          .files = files,
          .progress = progress,
          .original = known_probabilities(plan, subject),
          .memory = plan.memory / side_by_side,
          .workers = workers};
}

MadeModule make_module(const Workshop& w, const OutputSet& set, const Selection& keep, bool empty_head) {
  MadeModule module;
  Program body = checked_slice(w.subject, set, keep, module.slice_difference);
  module.program = module_code(w, body, set, keep);
  const std::string file = checkpoint_file(w, set, keep, empty_head);
  if (read_checkpoint(w.plan.options.out / file, module.program)) return module;
  if (w.plan.options.repair != RepairMethod::none) repair_body(w, body, keep, set);
  const bool own_head = row_of(w.plan.options.head).own;
  const auto of_head = [&](ValueId id) {
    return own_head && (id == head_layer(w.subject).weight || id == head_layer(w.subject).bias);
  };
  for (size_t i = 0; i < module.program.values.size(); ++i) {
    Value& value = module.program.values[i];
    if (value.kind == Value::Kind::parameter && !of_head(static_cast<ValueId>(i)))
      value.content = body.values[i].content;
  }
  if (own_head && !empty_head)
    replace_head(head_layer(w.subject), fitted_head(w, body, set, module.columns), module.program);
  w.files.put(file, serialised(parameters_of(module.program)));
  return module;
}

Program made_before(const Workshop& w, const OutputSet& set, const Selection& keep, bool empty_head) {
  const Program body = slice(w.subject.model.program, w.subject.model.map, keep);
  Program module = module_code(w, body, set, keep);
  if (read_checkpoint(w.plan.options.out / checkpoint_file(w, set, keep, empty_head), module)) return module;
  return make_module(w, set, keep, empty_head).program;
}

at::Tensor validation_values(const Subject& subject) {
  return subject.fit.values.index_select(0, subject.data->points(subject.validation))
      .index_select(1, at::tensor(subject.outputs, at::kLong))
      .to(at::kDouble);
}

const Layer& head_layer(const Subject& subject) {
  const UnitMap& map = subject.model.map;
  return map.layers[at_index(map.head)];
}

Head first_head(const Workshop& w, const OutputSet& set, const at::Tensor& features, const at::Tensor& samples,
                int64_t validating) {
  const int64_t each = w.subject.data->points_each();
  const int64_t all = samples.size(0) - validating;
  const int64_t most = std::max<int64_t>(most_first_samples / each, 1);
  const int64_t fitted = std::min({all, most, most_head_samples(w, features.size(1))});
  const int64_t choosing = std::min({validating, fitted, std::max<int64_t>(most / 4, 1)});
  HeadData data;
  data.validating = choosing * each;
  const auto both = [&](const at::Tensor& rows, int64_t points) {
    return at::cat({rows.narrow(0, 0, fitted * points), rows.narrow(0, all * points, choosing * points)});
  };
  data.features = both(features, each);
  const at::Tensor points = w.subject.data->points(both(samples, 1));
  data.rows = rows_of_head(w.subject.fit.classes.index_select(0, points), set).to(features.device());
  if (!set.others) data.teacher = original_probabilities(w, fitted).to(features.device());
  data.has_bias = head_layer(w.subject).bias >= 0;
  data.kind = w.subject.model.kind;
  return fit_classification_head(data, {}, set, {});
}

at::Tensor original_probabilities(const Workshop& w, int64_t count) {
  const int64_t points = count * w.subject.data->points_each();
  if (w.original.defined() && w.original.size(0) >= points) return w.original.narrow(0, 0, points);
  const AnalysedModel& model = w.subject.model;
  return probabilities(outputs_for(model.program, *w.subject.data, w.subject.train.narrow(0, 0, count)), model.kind);
}

at::Tensor head_features(const Workshop& w, const Program& module, const at::Tensor& samples) {
  const at::NoGradGuard no_grad;
  const Dataset& data = *w.subject.data;
  const FittableHead head = place_of_head(w.subject);
  const NodeId node = head_node(w.subject, module);
  const ValueId read = module.node(node).inputs[0];
  const int64_t batch = samples_at_once(w.subject, module);
  std::vector<bool> keep(module.values.size(), false);
  keep[at_index(read)] = true;
  NodeId end = node;
  for (const ValueId value : head.resampled) {
    const NodeId resampling = module.maker(value);
    for (const ValueId input : module.node(resampling).inputs)
      keep[at_index(input)] = true;
    end = std::max(end, resampling);
  }
  const Program fast = for_running(module, keep);
  keep.resize(fast.values.size(), false);
  const Executor executor(fast);
  std::vector<at::Tensor> features;
  in_batches(samples.size(0), batch, [&](int64_t first, int64_t count) {
    const at::Tensor part = samples.narrow(0, first, count);
    Environment environment = executor.start(data.batch(part, module.device));
    executor.run(environment, 0, end, keep);
    const at::Tensor own = head.features(environment[at_index(read)].toTensor());
    features.push_back(head.resampled.empty() ? data.at_points(own, part)
                                              : resampled_features(w, executor, head, environment, own, part));
  });
  return at::cat(features);
}

bool has_head_run(const Subject& subject) {
  return place_of_head(subject).resampled.empty();
}

SliceRun head_run(const Workshop& w, const Program& module, const Selection& keep) {
  const FittableHead head = place_of_head(w.subject);
  const ValueId read = module.node(head_node(w.subject, module)).inputs[0];
  return {&module, &keep, {read}, {}, [&w, head](const std::vector<at::Tensor>& values, const at::Tensor& samples) {
            return std::vector{w.subject.data->at_points(head.features(values.front()), samples)};
          }};
}

SliceRun tail_run(const Program& module, const Tail& tail, const Selection& keep) {
  return {&module, &keep, tail.reads, tail.axes,
          [](const std::vector<at::Tensor>& values, const at::Tensor& /*samples*/) { return values; }};
}

SliceRun column_run(const Workshop& w, const Program& module, const Selection& keep, const OutputSet& set) {
  const auto columns = [&](const std::vector<at::Tensor>& values, const at::Tensor& samples) {
    const ModuleToTest tested{set, nullptr, row_of(w.plan.options.head).own};
    const at::Tensor outputs = w.subject.data->at_points(values.front(), samples);
    return std::vector{columns_of(outputs, tested, w.subject.model.kind, w.subject.task).to(at::kCPU)};
  };
  return {&module, &keep, {module.output}, {}, columns};
}

int64_t modules_at_once(const Workshop& w) {
  return std::max(w.workers, most_program_bytes / std::max<int64_t>(w.subject.parameters * 4, 1));
}

std::vector<std::vector<at::Tensor>> run_side_by_side(const Workshop& w, const std::vector<SliceRun>& runs,
                                                      const at::Tensor& samples) {
  const AnalysedModel& model = w.subject.model;
  const SideBySide how{.program = model.program,
                       .map = model.map,
                       .data = *w.subject.data,
                       .most = most_at_once,
                       .workers = w.workers,
                       .progress = w.progress};
  return run_side_by_side(how, runs, samples);
}

at::Tensor head_features(const Workshop& w, const Program& module, const TailData& data) {
  const at::NoGradGuard no_grad;
  const FittableHead head = place_of_head(w.subject);
  const ValueId read = module.node(head_node(w.subject, module)).inputs[0];
  const int64_t batch = samples_at_once(w.subject, module);
  const int64_t samples = data.inputs.front().size(data.tail.axes.front());
  const Executor executor(module);
  std::vector<at::Tensor> features;
  in_batches(samples, batch, [&](int64_t first, int64_t count) {
    const at::Tensor rows = at::arange(first, first + count, at::TensorOptions(at::kLong).device(module.device));
    features.push_back(head.features(run_tail(executor, data.tail, select_rows(data.tail, data.inputs, rows), read)));
  });
  return at::cat(features);
}

std::optional<Tail> tail_of(const Workshop& w, const Program& module) {
  const AnalysedModel& model = w.subject.model;
  const std::optional<ValueId> weight = last_layers(model.program, model.map, most_last_layers);
  if (!weight) return std::nullopt;
  std::optional<Tail> tail = find_tail(module, *weight, first_batch(w.subject));
  if (tail && !makes(module, *tail, module.node(head_node(w.subject, module)).inputs[0])) return std::nullopt;
  return tail;
}

void check_file(const Subject& subject, const std::filesystem::path& file, const Program& module, bool as_a_model) {
  const at::NoGradGuard no_grad;
  const Batch batch = two_samples(*subject.data, module.device);
  const at::Tensor expected = Executor(module)(batch);
  const at::Tensor found = as_a_model ? Executor(load_program(file, batch))(batch) : output_of(file, batch);
  const double scale = std::max(expected.abs().max().item<double>(), 1e-30);
  if (found.sizes() == expected.sizes() && (found - expected).abs().max().item<double>() <= 1e-5 * scale) return;
  fail(ExitCode::internal, "{}: the file read back differs from the module in memory; please report this model",
       file.string());
}

}  // namespace incite
