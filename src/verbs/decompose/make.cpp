#include "verbs/decompose/make.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/workers.hpp"
#include "program/cost.hpp"
#include "program/save.hpp"
#include "program/save_pt2.hpp"
#include "slicing/calibration.hpp"
#include "store/module_identity.hpp"
#include "store/result_folder.hpp"
#include "subject/samples.hpp"
#include "verbs/decompose/fit_together.hpp"

namespace incite {
namespace {

/// By layer, the channels that a module keeps.
std::map<std::string, std::vector<int64_t>> kept_channels(const Workshop& w, const Selection& keep,
                                                          const OutputSet& set) {
  const UnitMap& map = w.subject.model.map;
  const bool own_head = row_of(w.plan.options.head).own;
  std::map<std::string, std::vector<int64_t>> kept;
  for (size_t l = 0; l < map.layers.size(); ++l) {
    const Layer& layer = map.layers[l];
    std::vector<int64_t>& channels = kept[layer.name];
    channels.clear();
    const bool new_head = static_cast<int32_t>(l) == map.head && own_head;
    for (size_t channel = 0; channel < layer.units.size(); ++channel) {
      const bool stays = new_head
                             ? std::binary_search(set.outputs.begin(), set.outputs.end(), static_cast<int64_t>(channel))
                             : keep[static_cast<size_t>(layer.units[channel])];
      if (stays) channels.push_back(static_cast<int64_t>(channel));
    }
  }
  return kept;
}

/// The identity to write into a module's file.
ModuleIdentity identity_of(const Workshop& w, const OutputSet& set) {
  const Subject& subject = w.subject;
  const DatasetOptions& data = w.plan.options.data;
  ModuleIdentity identity;
  identity.model = w.plan.model.sha256;
  identity.set = set;
  identity.outputs = subject.model.outputs;
  identity.kind = subject.model.kind;
  identity.task = subject.task;
  identity.own_head = row_of(w.plan.options.head).own;
  identity.input_key = data.input_key;
  identity.target_key = data.target_key;
  identity.input_scale = data.input_scale;
  identity.scale = subject.data->input_scale;
  identity.input_shape = data.input_shape;
  identity.input_layout = data.input_layout;
  for (const at::Tensor& input : subject.data->input.inputs)
    identity.shapes.push_back(input.sizes().slice(1).vec());
  return identity;
}

std::string bytes_of(const Workshop& w, const OutputSet& set, const Program& module) {
  const std::string identity = to_text(identity_of(w, set));
  if (w.plan.options.format == FileFormat::torchscript) return serialise(module, identity);
  FileAttributes attributes;
  attributes.identity = identity;
  return serialise_pt2(module, two_samples(*w.subject.data, module.device), attributes,
                       module_file(set, FileFormat::pt2));
}

/// `first`: of the modules, whose code is all alike.
ModuleResult write(const Workshop& w, const OutputSet& set, const Selection& keep, const Program& module, bool first) {
  ModuleResult result;
  result.set = set;
  result.file = module_file(set, w.plan.options.format);
  const std::string bytes = bytes_of(w, set, module);
  w.files.write(result.file, bytes);
  check_file(w.subject, w.files.path(result.file), module, /*as_a_model=*/first);
  result.bytes = static_cast<int64_t>(bytes.size());
  result.parameters = module.parameter_count();
  result.compression = static_cast<double>(w.subject.parameters) / static_cast<double>(result.parameters);
  result.multiply_adds = multiply_adds(module, two_samples(*w.subject.data, module.device));
  result.kept = kept_channels(w, keep, set);
  return result;
}

/// By module. `columns`: what the modules say of the validation samples.
std::vector<std::vector<Calibration>> calibrations_of(const Workshop& w, const at::Tensor& columns) {
  const Subject& subject = w.subject;
  std::vector<std::vector<Calibration>> calibrations(subject.modules.size(), {Calibration{}});
  if (!calibrates(w)) return calibrations;
  if (subject.task == Task::multilabel) {
    const std::vector<Calibration> found = calibrate_labels(columns, validation_values(subject));
    auto first = found.begin();
    for (size_t m = 0; m < calibrations.size(); ++m) {
      calibrations[m].assign(first, first + subject.modules[m].size());
      first += subject.modules[m].size();
    }
    return calibrations;
  }
  const at::Tensor classes = subject.fit.classes.index_select(0, subject.data->points(subject.validation));
  const std::vector<Calibration> found = calibrate(columns, places_of(classes, subject.outputs), subject.modules);
  for (size_t m = 0; m < calibrations.size(); ++m)
    calibrations[m] = {found[m]};
  return calibrations;
}

void calibrate_head(const Workshop& w, const std::vector<Calibration>& calibration, const OutputSet& set,
                    Program& module) {
  const Layer& layer = head_layer(w.subject);
  replace_head(layer, calibrated(head_of(layer, module), calibration, set, w.subject.model.kind), module);
}

}  // namespace

Modules make(const Workshop& w, const Choice& choice) {
  const Subject& subject = w.subject;
  const std::vector<OutputSet>& sets = subject.modules;
  FittedModules fitted = fit_together(w, choice.selections);
  const std::vector<std::vector<Calibration>> calibrations = calibrations_of(w, fitted.validation_columns);
  Modules modules;
  modules.head_losses = fitted.head_losses;
  modules.last_layer_losses = fitted.last_layer_losses;
  modules.finetuning_losses = fitted.finetuning_losses;
  modules.results.resize(sets.size());
  modules.columns.resize(sets.size());
  const auto count = static_cast<int64_t>(sets.size());
  run_on_workers(
      count, w.workers,
      [&](int64_t number) {
        const auto m = static_cast<size_t>(number);
        Program module = take_module(w, choice.selections, fitted, m);
        if (calibrates(w)) calibrate_head(w, calibrations[m], sets[m], module);
        ModuleResult& result = modules.results[m];
        result = write(w, sets[m], choice.selections[m], module, m == 0);
        result.slice_difference = fitted.slice_differences[m];
        result.calibration = calibrations[m];
        // Not side by side: what is measured is the module as it is written, to the last bit.
        const ModuleToTest tested{sets[m], &module, row_of(w.plan.options.head).own};
        modules.columns[m] = module_scores(tested, subject.model.kind, subject.task, subject.held_out);
      },
      [&](int64_t done) {
        if (w.progress) w.progress({"writing modules", done, count, "modules"});
      });
  return modules;
}

}  // namespace incite
