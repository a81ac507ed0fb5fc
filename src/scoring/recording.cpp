#include "scoring/recording.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "program/recurrent.hpp"

namespace incite {
namespace {

at::Tensor scale_of_positions(const Frontier::Place& layer, const std::vector<bool>& mutated, double factor) {
  at::Tensor scale = at::ones({static_cast<int64_t>(layer.units.size())}, at::kFloat);
  for (size_t i = 0; i < layer.units.size(); ++i) {
    if (layer.units[i] != no_unit && mutated[at_index(layer.units[i])])
      scale.data_ptr<float>()[i] = static_cast<float>(factor);
  }
  return scale;
}

/// The value as a reader of its own gets it: gradients are taken here, and go on to what made it.
at::Tensor for_readers(const at::Tensor& value) {
  return value.requires_grad() ? at::alias(value) : value.detach().set_requires_grad(true);
}

}  // namespace

Recorder::Recorder(const Executor& executor, const Frontier& frontier, const std::vector<bool>& mutated,
                   const std::vector<double>& factors, ValueId last)
    : executor_(executor),
      frontier_(frontier),
      last_(last),
      factors_(factors),
      scales_(frontier.layers.size()),
      place_of_(executor.program().values.size(), -1),
      own_place_of_(executor.program().nodes.size(), -1) {
  for (size_t p = 0; p < frontier.places.size(); ++p) {
    const Frontier::Place& place = frontier.places[p];
    (place.own ? own_place_of_[at_index(executor.program().maker(place.value))] : place_of_[at_index(place.value)]) =
        static_cast<int64_t>(p);
  }
  for (size_t n = 0; n < frontier.layers.size(); ++n) {
    for (const Frontier::Place& layer : frontier.layers[n]) {
      std::vector<at::Tensor>& scales = scales_[n].emplace_back();
      for (const double factor : factors)
        scales.push_back(scale_of_positions(layer, mutated, factor).to(executor.program().device));
    }
  }
}

Recording Recorder::run(const Batch& batch) const {
  const at::AutoGradMode with_gradients(true);
  const Program& program = executor_.program();
  Recording recording;
  recording.places.resize(frontier_.places.size());
  recording.changes.assign(factors_.size(), std::vector<at::Tensor>(frontier_.places.size()));
  Environment base = executor_.start(batch);
  Environment read(program.values.size());  // places as their readers get them
  std::vector<Environment> changed(factors_.size(), Environment(program.values.size()));
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    const Node& node = program.node(id);
    std::vector<c10::IValue> inputs = inputs_of(id, base, read);
    // To detach says nothing about what a value depends on.
    std::vector<c10::IValue> outputs = node.op == "aten::detach" ? std::vector<c10::IValue>{inputs[0]}
                                       : own_place_of_[n] >= 0   ? run_recurrent(id, inputs, recording)
                                                                 : executor_.apply(id, std::move(inputs));
    for (size_t i = 0; i < outputs.size(); ++i)
      base[at_index(node.outputs[i])] = std::move(outputs[i]);
    for (size_t f = 0; f < factors_.size(); ++f)
      run_changed(id, base, changed[f], f);
    for (const ValueId output : node.outputs) {
      const int64_t place = place_of_[at_index(output)];
      if (place < 0) continue;
      const at::Tensor value = base[at_index(output)].toTensor();
      if (!value.is_floating_point()) continue;
      recording.places[static_cast<size_t>(place)] = for_readers(value);
      read[at_index(output)] = recording.places[static_cast<size_t>(place)];
      const at::NoGradGuard no_grad;
      for (size_t f = 0; f < factors_.size(); ++f)
        recording.changes[f][static_cast<size_t>(place)] = changed[f][at_index(output)].toTensor() - value;
    }
    if (id == program.maker(last_)) break;
    executor_.free_after(base, id);
    executor_.free_after(read, id);
    for (Environment& of_factor : changed)
      executor_.free_after(of_factor, id);
  }
  const at::Tensor read_at_last = read[at_index(last_)].isTensor() ? read[at_index(last_)].toTensor() : at::Tensor();
  recording.outputs = read_at_last.defined() ? read_at_last : base[at_index(last_)].toTensor();
  return recording;
}

/// Readers get places; what passes changes on gets values as they are, since its change is told further on.
std::vector<c10::IValue> Recorder::inputs_of(NodeId id, const Environment& base, const Environment& read) const {
  std::vector<c10::IValue> inputs;
  const bool passes = frontier_.passes[at_index(id)];
  for (const ValueId input : executor_.program().node(id).inputs) {
    const c10::IValue& place = read[at_index(input)];
    inputs.push_back(passes || place.isNone() ? base[at_index(input)] : place);
  }
  return inputs;
}

/// A recurrent layer whose own readings are a place: what is added to them there is nothing, with a gradient.
std::vector<c10::IValue> Recorder::run_recurrent(NodeId id, const std::vector<c10::IValue>& inputs,
                                                 Recording& recording) const {
  const RecurrentLayer layer = *recurrent_of(executor_.program(), executor_.program().node(id));
  const auto place = static_cast<size_t>(own_place_of_[at_index(id)]);
  const std::vector<int64_t> shape = [&] {
    std::vector<int64_t> sizes = inputs[0].toTensor().sizes().vec();
    sizes[2] = static_cast<int64_t>(frontier_.places[place].units.size());
    return sizes;
  }();
  const at::Tensor shift = at::zeros(shape, inputs[0].toTensor().options()).set_requires_grad(true);
  const std::vector<at::Tensor> outputs = run_by_steps(layer, inputs, shift);
  recording.places[place] = shift;
  const at::NoGradGuard no_grad;
  const at::Tensor read = own_inputs(layer, outputs[0], first_state(inputs[1]));
  const auto& layers = frontier_.layers[at_index(id)];
  const auto made = std::find_if(layers.begin(), layers.end(), [&](const Frontier::Place& each) {
    return each.value == frontier_.places[place].value;
  });
  const auto& scales = scales_[at_index(id)][static_cast<size_t>(made - layers.begin())];
  for (size_t f = 0; f < factors_.size(); ++f)
    recording.changes[f][place] = read * (scales[f] - 1);
  return {outputs.begin(), outputs.end()};
}

void Recorder::run_changed(NodeId id, const Environment& base, Environment& changed, size_t factor) const {
  const at::NoGradGuard no_grad;
  const Node& node = executor_.program().node(id);
  if (frontier_.passes[at_index(id)]) {
    std::vector<c10::IValue> inputs;
    for (const ValueId input : node.inputs)
      inputs.push_back(changed[at_index(input)].isNone() ? base[at_index(input)] : changed[at_index(input)]);
    std::vector<c10::IValue> outputs = executor_.apply(id, std::move(inputs));
    for (size_t i = 0; i < outputs.size(); ++i)
      changed[at_index(node.outputs[i])] = std::move(outputs[i]);
  }
  const auto& layers = frontier_.layers[at_index(id)];
  for (size_t l = 0; l < layers.size(); ++l) {
    const auto value = at_index(layers[l].value);
    const at::Tensor before = (changed[value].isNone() ? base[value] : changed[value]).toTensor();
    std::vector<int64_t> shape(static_cast<size_t>(before.dim()), 1);
    shape[static_cast<size_t>(layers[l].axis)] = -1;
    changed[value] = before * scales_[at_index(id)][l][factor].view(shape);
  }
}

}  // namespace incite
