#include "suffix.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "incite/base/error.hpp"

namespace incite {
namespace {

size_t at_index(int32_t i) {
  return static_cast<size_t>(i);
}

/// The axis along which a value holds the samples; -1 when it is the same for every batch.
int64_t batch_axis(ValueId value, const Sample& two, const Sample& three) {
  const auto& a = two.shapes[at_index(value)];
  const auto& b = three.shapes[at_index(value)];
  for (size_t axis = 0; axis < a.size(); ++axis) {
    if (a[axis] != b[axis]) return static_cast<int64_t>(axis);
  }
  return -1;
}

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape)
    count *= size;
  return count;
}

}  // namespace

Suffix::Suffix(const Program& program, const UnitMap& map, int32_t group, const Sample& two, const Sample& three)
    : program_(program) {
  std::set<NodeId> producers;
  for (const int32_t l : map.groups[at_index(group)].layers)
    producers.insert(map.layers[at_index(l)].node);

  std::vector<bool> mutated(program.values.size(), false);
  std::set<NodeId> nodes;
  std::set<NodeId> seeds;
  std::vector<NodeId> makers(program.values.size(), -1);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    const Node& node = program.nodes[n];
    for (const ValueId output : node.outputs)
      makers[at_index(output)] = id;
    const bool reads =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) { return mutated[at_index(input)]; });
    if (reads) {
      nodes.insert(id);
    } else if (producers.contains(id)) {
      seeds.insert(id);
    } else {
      continue;
    }
    for (const ValueId output : node.outputs)
      mutated[at_index(output)] = true;
  }
  for (const int32_t l : map.groups[at_index(group)].layers) {
    const Layer& layer = map.layers[at_index(l)];
    layers_.push_back({layer.node, layer.output, batch_axis(layer.output, two, three), layer.output_axis,
                       seeds.contains(layer.node)});
    INCITE_ASSERT(layers_.back().batch_axis >= 0);
  }

  // What the suffix reads from outside: tensors are saved and stacked; sizes are computed anew, since the stacked batch
  // is larger.
  std::set<ValueId> live;
  std::vector<NodeId> pending(nodes.begin(), nodes.end());
  while (!pending.empty()) {
    const NodeId id = pending.back();
    pending.pop_back();
    for (const ValueId input : program.node(id).inputs) {
      const Value::Kind kind = program.value(input).kind;
      if (mutated[at_index(input)] || kind == Value::Kind::constant || kind == Value::Kind::parameter) continue;
      if (!two.shapes[at_index(input)].empty()) {
        live.insert(input);
      } else if (nodes.insert(makers[at_index(input)]).second) {
        pending.push_back(makers[at_index(input)]);
      }
    }
  }
  nodes_.assign(nodes.begin(), nodes.end());
  for (const ValueId value : live)
    live_.push_back({value, batch_axis(value, two, three)});
  saved_.assign(live.begin(), live.end());
  for (const LayerOutput& layer : layers_) {
    if (layer.seed) saved_.push_back(layer.value);
  }

  std::set<ValueId> seen = {program.output};
  dies_after_.resize(nodes_.size());
  for (size_t n = nodes_.size(); n-- > 0;) {
    const Node& node = program.node(nodes_[n]);
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId value : *list) {
        const Value::Kind kind = program.value(value).kind;
        if (kind == Value::Kind::constant || kind == Value::Kind::parameter) continue;
        if (seen.insert(value).second) dies_after_[n].push_back(value);
      }
    }
    for (const ValueId output : node.outputs)
      bytes_per_sample_ += elements(two.shapes[at_index(output)]) * 4 / 2;
  }
  for (const LayerOutput& layer : layers_)
    bytes_per_sample_ += elements(two.shapes[at_index(layer.value)]) * 4 / 2;
}

/// `mutants` copies of a chunk's value, one after the other along the batch.
at::Tensor Suffix::stack(const at::Tensor& value, int64_t axis, int64_t mutants) const {
  if (axis < 0) return value;
  return at::cat(std::vector<at::Tensor>(static_cast<size_t>(mutants), value), axis);
}

/// Scales the channels of a stacked value, each mutant's by its own factors.
at::Tensor Suffix::scale(const at::Tensor& value, size_t layer, const at::Tensor& scales) const {
  const LayerOutput& output = layers_[layer];
  const int64_t rows = value.size(output.batch_axis) / scales.size(0);
  at::Tensor factors = scales.repeat_interleave(rows, 0);
  std::vector<int64_t> shape(static_cast<size_t>(value.dim()), 1);
  shape[static_cast<size_t>(output.batch_axis)] = factors.size(0);
  shape[static_cast<size_t>(output.channel_axis)] = factors.size(1);
  if (output.channel_axis < output.batch_axis) factors = factors.t();
  return value * factors.reshape(shape);
}

at::Tensor Suffix::run(const Executor& executor, const Environment& base, const std::vector<at::Tensor>& scales) const {
  const int64_t mutants = scales[0].size(0);
  Environment environment = base;
  for (const Live& live : live_) {
    c10::IValue& value = environment[at_index(live.value)];
    value = stack(value.toTensor(), live.batch_axis, mutants);
  }
  for (size_t l = 0; l < layers_.size(); ++l) {
    const LayerOutput& layer = layers_[l];
    if (!layer.seed) continue;
    const at::Tensor value = base[at_index(layer.value)].toTensor();
    if (layer.batch_axis == 0) {  // one pass: each mutant's copy is scaled as it is made
      std::vector<int64_t> shape(static_cast<size_t>(value.dim()) + 1, 1);
      shape[0] = mutants;
      shape[static_cast<size_t>(layer.channel_axis) + 1] = scales[l].size(1);
      environment[at_index(layer.value)] = (value.unsqueeze(0) * scales[l].reshape(shape)).flatten(0, 1);
    } else {
      environment[at_index(layer.value)] = scale(stack(value, layer.batch_axis, mutants), l, scales[l]);
    }
  }
  for (size_t n = 0; n < nodes_.size(); ++n) {
    executor.run_node(environment, nodes_[n]);
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (layers_[l].seed || layers_[l].node != nodes_[n]) continue;
      c10::IValue& value = environment[at_index(layers_[l].value)];
      value = scale(value.toTensor(), l, scales[l]);
    }
    for (const ValueId dead : dies_after_[n])
      environment[at_index(dead)] = c10::IValue();
  }
  return environment[at_index(program_.output)].toTensor();
}

}  // namespace incite
