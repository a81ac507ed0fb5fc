#include "module_maker.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "incite/base/error.hpp"
#include "incite/base/random.hpp"
#include "incite/program/executor.hpp"
#include "incite/program/load.hpp"
#include "incite/slicing/repair.hpp"
#include "incite/slicing/slice.hpp"
#include "samples.hpp"

namespace incite {
namespace {

constexpr int64_t most_repair_samples = 4096;  // of each kind
constexpr int64_t most_first_samples = 16384;  // that a head is fitted to, where it is fitted once more
constexpr int64_t most_at_once = 1024;         // samples
constexpr int64_t most_last_layers = 2;        // hidden ones, fitted together with the heads

}  // namespace

Batch ModuleMaker::first_batch() const {
  return first_samples(*source_.fit.data, source_.program.device);
}

/// A slice that differs from the masked original is never written.
Program ModuleMaker::checked_slice(int64_t output, const Selection& keep, double& difference) const {
  Program body = slice(source_.program, source_.map, keep);
  difference = check_slice(source_.program, source_.map, keep, body, first_batch()).difference;
  if (difference <= slice_tolerance) return body;
  fail(ExitCode::internal,
       "module {}: the slice differs from the masked original by {:.2g} (at most {:.2g} is allowed), so it is not "
       "written; please report "
       "this model",
       output, difference, slice_tolerance);
}

Program ModuleMaker::make(int64_t output, const Selection& keep, Program body, bool empty_head) const {
  if (options_.repair != RepairMethod::none) repair_body(body, keep, output);
  if (options_.head == HeadMethod::original) return body;
  if (!empty_head) return with_head(body, keep, output, fitted_head(body, output));
  const Layer& layer = source_.map.layers[static_cast<size_t>(source_.map.head)];
  const at::Tensor weight = body.value(layer.weight).content.toTensor();
  Head empty{at::zeros({2, weight.size(1)}, weight.options()), {}};
  if (layer.bias >= 0) empty.bias = at::zeros({2}, weight.options());
  return with_head(body, keep, output, empty);
}

at::Tensor ModuleMaker::validation_scores(int64_t output, const Program& module) const {
  TestSet set = source_.fit;
  set.samples = source_.validation;
  return module_scores({output, &module, options_.head != HeadMethod::original}, source_.kind, source_.task, set);
}

HeadNames ModuleMaker::head_names() const {
  const Layer& head = source_.map.layers[static_cast<size_t>(source_.map.head)];
  HeadNames names;
  names.weight = source_.program.value(head.weight).name;
  if (head.bias >= 0) names.bias = source_.program.value(head.bias).name;
  return names;
}

/// A class's own samples, as many of those of others that the original takes for it most, and as many of any others;
/// for regression, any.
at::Tensor ModuleMaker::repair_samples(int64_t output) const {
  const at::Tensor& train = source_.train;
  if (source_.task == Task::regression) return train.narrow(0, 0, std::min(train.size(0), 2 * most_repair_samples));
  const at::Tensor own = source_.fit.classes.index_select(0, train) == output;
  const at::Tensor positives = own.nonzero().flatten();
  const at::Tensor known = own.narrow(0, 0, source_.original.size(0));
  const at::Tensor alike = source_.original.select(1, output).masked_fill(known, -1).argsort(true, 0, true);
  const int64_t count = std::min({positives.size(0), known.logical_not().sum().item<int64_t>(), most_repair_samples});
  const at::Tensor hard = alike.narrow(0, 0, count);
  const at::Tensor rest = own.logical_not().index_fill(0, hard, false).nonzero().flatten();
  std::vector<at::Tensor> kinds = {positives.narrow(0, 0, count), hard};
  if (rest.size(0) >= count) kinds.push_back(rest.narrow(0, 0, count));
  // One after the other, so that every part of them has as many of each.
  return train.index_select(0, at::stack(kinds, 1).flatten());
}

void ModuleMaker::repair_body(Program& body, const Selection& keep, int64_t output) const {
  const at::Tensor samples = repair_samples(output);
  RepairParams params;
  params.method = options_.repair;
  params.head = options_.head == HeadMethod::original;
  params.memory = source_.memory;
  params.seed = derive_seed(options_.seed, fmt::format("repair {}", output));
  repair(source_.program, source_.map, keep, *source_.fit.data, samples, params, body);
}

Head ModuleMaker::fitted_head(const Program& body, int64_t output) const {
  const FittableHead place = fittable_head(source_.program, source_.map, source_.task);
  const Layer& layer = place.layer;
  const at::Device device = source_.program.device;
  HeadData data;
  Head original;
  original.weight = body.value(layer.weight).content.toTensor().flatten(1);
  at::Tensor samples = head_samples(original.weight.size(1), data.validating);
  data.has_bias = layer.bias >= 0;
  data.kind = source_.kind;
  if (data.has_bias) original.bias = body.value(layer.bias).content.toTensor();
  HeadParams params;
  params.method = options_.head;
  params.epochs = options_.epochs;
  params.seed = derive_seed(options_.seed, fmt::format("head {}", output));
  if (source_.task == Task::classification) {
    at::Tensor own = source_.fit.classes.index_select(0, samples) == output;
    if (params.method == HeadMethod::adam) {
      const at::Tensor rows = balanced_rows(own, output, params.seed);
      samples = samples.index_select(0, rows);
      own = own.index_select(0, rows);
    }
    data.features = head_features(body, samples);
    data.positive = own.to(device);
    return fit_classification_head(data, original, output, params);
  }
  data.features = head_features(body, samples);
  data.rectified = !place.relus.empty();
  data.values = source_.fit.values.index_select(0, samples).select(1, output).contiguous().to(device);
  return fit_regression_head(data, original, output, params);
}

Head ModuleMaker::first_head(int64_t output, const at::Tensor& features, const at::Tensor& samples,
                             int64_t validating) const {
  const int64_t all = samples.size(0) - validating;
  const int64_t fitted = std::min({all, most_first_samples, most_head_samples(features.size(1))});
  HeadData data;
  data.validating = std::min({validating, fitted, most_first_samples / 4});
  const auto both = [&](const at::Tensor& rows) {
    return at::cat({rows.narrow(0, 0, fitted), rows.narrow(0, all, data.validating)});
  };
  data.features = both(features);
  data.positive = (source_.fit.classes.index_select(0, both(samples)) == output).to(features.device());
  data.has_bias = source_.map.layers[static_cast<size_t>(source_.map.head)].bias >= 0;
  data.kind = source_.kind;
  return fit_classification_head(data, {}, output, {});
}

/// The body with a head in the place of the original's.
Program ModuleMaker::with_head(const Program& body, const Selection& keep, int64_t output, const Head& head) const {
  const FittableHead place = fittable_head(source_.program, source_.map, source_.task);
  const std::vector<int32_t>& units = place.layer.units;
  // The slice keeps as many of the head's channels as the new one has rows; then their weights are replaced.
  Selection rows = keep;
  for (const int32_t unit : units)
    rows[static_cast<size_t>(unit)] = false;
  rows[static_cast<size_t>(units[static_cast<size_t>(output)])] = true;
  if (head.weight.size(0) == 2) rows[static_cast<size_t>(units[output == 0 ? 1 : 0])] = true;
  Program module = slice(source_.program, source_.map, rows);
  for (size_t i = 0; i < module.values.size(); ++i) {  // the rest is the body's, which may be repaired
    if (module.values[i].kind == Value::Kind::parameter) module.values[i].content = body.values[i].content;
  }
  put_head(place, head, source_.task, module);
  return module;
}

/// As many as the memory holds of what a head of so many features is fitted to, in double precision.
int64_t ModuleMaker::most_head_samples(int64_t features) const {
  const int64_t row = features * 4 * static_cast<int64_t>(sizeof(double));
  return std::max<int64_t>(source_.memory / std::max<int64_t>(row, 1), 1000);
}

/// Samples to fit the head on, those that choose its penalty last. Adam splits off its own.
at::Tensor ModuleMaker::head_samples(int64_t features, int64_t& validating) const {
  const at::Tensor train = source_.train.narrow(0, 0, std::min(most_head_samples(features), source_.train.size(0)));
  if (options_.head == HeadMethod::adam) return at::cat({train, source_.validation});
  validating = std::min(train.size(0), source_.validation.size(0));
  return at::cat({train, source_.validation.narrow(0, 0, validating)});
}

/// The node that is a module's head.
NodeId ModuleMaker::head_node(const Program& module) const {
  const std::string name = head_names().weight;
  const auto reader = std::find_if(module.nodes.rbegin(), module.nodes.rend(), [&](const Node& one) {
    return std::any_of(one.inputs.begin(), one.inputs.end(), [&](ValueId id) {
      return module.value(id).kind == Value::Kind::parameter && module.value(id).name == name;
    });
  });
  INCITE_ASSERT(reader != module.nodes.rend());
  return static_cast<NodeId>(module.nodes.rend() - reader - 1);
}

at::Tensor ModuleMaker::head_features(const Program& module, const at::Tensor& samples) const {
  const at::NoGradGuard no_grad;
  const FittableHead head = fittable_head(source_.program, source_.map, source_.task);
  const NodeId node = head_node(module);
  const ValueId read = module.node(node).inputs[0];
  const int64_t batch = batch_size(module, first_batch(), most_at_once);
  const Executor executor(module);
  std::vector<bool> keep(module.values.size(), false);
  keep[static_cast<size_t>(read)] = true;
  std::vector<at::Tensor> features;
  for (int64_t first = 0; first < samples.size(0); first += batch) {
    Environment environment = executor.start(source_.fit.data->batch(
        samples.narrow(0, first, std::min(batch, samples.size(0) - first)), source_.program.device));
    executor.run(environment, 0, node, keep);
    features.push_back(head.features(environment[static_cast<size_t>(read)].toTensor()));
  }
  return at::cat(features);
}

std::optional<Tail> ModuleMaker::tail(const Program& module) const {
  const std::string weight = last_layers(source_.program, source_.map, most_last_layers);
  if (weight.empty()) return std::nullopt;
  std::optional<Tail> tail = find_tail(module, weight, first_batch());
  if (tail && !makes(module, *tail, module.node(head_node(module)).inputs[0])) return std::nullopt;
  return tail;
}

TailInputs ModuleMaker::tail_inputs(const Program& module, const Tail& tail, const at::Tensor& samples) const {
  return run_up_to(module, tail, *source_.fit.data, samples, batch_size(module, first_batch(), most_at_once));
}

std::optional<TailData> ModuleMaker::tail(const Program& module, const at::Tensor& samples) const {
  std::optional<Tail> found = tail(module);
  if (!found) return std::nullopt;
  TailInputs inputs = tail_inputs(module, *found, samples);
  return TailData{*std::move(found), std::move(inputs)};
}

at::Tensor ModuleMaker::head_features(const Program& module, const TailData& data) const {
  const at::NoGradGuard no_grad;
  const FittableHead head = fittable_head(source_.program, source_.map, source_.task);
  const ValueId read = module.node(head_node(module)).inputs[0];
  const int64_t batch = batch_size(module, first_batch(), most_at_once);
  const int64_t samples = data.inputs.front().size(data.tail.axes.front());
  const Executor executor(module);
  std::vector<at::Tensor> features;
  for (int64_t first = 0; first < samples; first += batch) {
    const at::Tensor rows =
        at::arange(first, std::min(first + batch, samples), at::TensorOptions(at::kLong).device(module.device));
    features.push_back(head.features(run_tail(executor, data.tail, select_rows(data.tail, data.inputs, rows), read)));
  }
  return at::cat(features);
}

/// What was written is read back and compared: it must be loadable, and the same function.
void ModuleMaker::check_file(const std::filesystem::path& file, const Program& module) const {
  const at::NoGradGuard no_grad;
  const Batch batch = first_batch();
  const Program read = load_program(file, batch);
  const at::Tensor expected = Executor(module)(batch);
  const at::Tensor found = Executor(read)(batch);
  const double scale = std::max(expected.abs().max().item<double>(), 1e-30);
  if ((found - expected).abs().max().item<double>() <= 1e-5 * scale) return;
  fail(ExitCode::internal, "{}: read back, it gives other outputs than the module in memory; please report this model",
       file.string());
}

}  // namespace incite
