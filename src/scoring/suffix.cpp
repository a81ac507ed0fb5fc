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

int64_t elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t size : shape)
    count *= size;
  return count;
}

}  // namespace

Suffix::Suffix(const Program& program, const UnitMap& map, int32_t group, const Sample& sample) : program_(program) {
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
    const auto add = [&](ValueId value, int64_t axis, const std::vector<int32_t>& units) {
      scaled_.push_back(
          {layer.node, value, sample.batch_axes[at_index(value)], axis, units, seeds.contains(layer.node)});
      INCITE_ASSERT(scaled_.back().batch_axis >= 0);
    };
    add(layer.output, layer.output_axis, layer.units);
    for (const ValueId state : layer.states) {
      const Labels& labels = map.activations[at_index(state)];
      if (!labels.empty()) add(state, labels.axis, labels.units);
    }
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
      if (!sample.shapes[at_index(input)].empty()) {
        live.insert(input);
      } else if (nodes.insert(makers[at_index(input)]).second) {
        pending.push_back(makers[at_index(input)]);
      }
    }
  }
  nodes_.assign(nodes.begin(), nodes.end());
  for (const ValueId value : live)
    live_.push_back({value, sample.batch_axes[at_index(value)]});
  saved_.assign(live.begin(), live.end());
  for (const Scaled& scaled : scaled_) {
    if (scaled.seed) saved_.push_back(scaled.value);
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
      bytes_per_sample_ += elements(sample.shapes[at_index(output)]) * 4 / 2;
  }
  for (const Scaled& scaled : scaled_)
    bytes_per_sample_ += elements(sample.shapes[at_index(scaled.value)]) * 4 / 2;
}

/// `mutants` copies of a chunk's value, one after the other along the batch.
at::Tensor Suffix::stack(const at::Tensor& value, int64_t axis, int64_t mutants) {
  if (axis < 0) return value;
  return at::cat(std::vector<at::Tensor>(static_cast<size_t>(mutants), value), axis);
}

/// Scales the channels of a stacked value, each mutant's by its own factors.
at::Tensor Suffix::scale(const at::Tensor& value, const Scaled& scaled, const at::Tensor& scales) {
  const int64_t rows = value.size(scaled.batch_axis) / scales.size(0);
  at::Tensor factors = scales.repeat_interleave(rows, 0);
  std::vector<int64_t> shape(static_cast<size_t>(value.dim()), 1);
  shape[static_cast<size_t>(scaled.batch_axis)] = factors.size(0);
  shape[static_cast<size_t>(scaled.channel_axis)] = factors.size(1);
  if (scaled.channel_axis < scaled.batch_axis) factors = factors.t();
  return value * factors.reshape(shape);
}

at::Tensor Suffix::stack_and_scale(const at::Tensor& value, const Scaled& scaled, const at::Tensor& scales) {
  const int64_t mutants = scales.size(0);
  if (scaled.batch_axis != 0) return scale(stack(value, scaled.batch_axis, mutants), scaled, scales);
  std::vector<int64_t> shape(static_cast<size_t>(value.dim()) + 1, 1);  // one pass: each copy is scaled as it is made
  shape[0] = mutants;
  shape[static_cast<size_t>(scaled.channel_axis) + 1] = scales.size(1);
  return (value.unsqueeze(0) * scales.reshape(shape)).flatten(0, 1);
}

at::Tensor Suffix::run(const Executor& executor, const Environment& base, const std::vector<at::Tensor>& scales) const {
  Environment environment = base;
  for (const Live& live : live_) {
    c10::IValue& value = environment[at_index(live.value)];
    value = stack(value.toTensor(), live.batch_axis, scales[0].size(0));
  }
  for (size_t i = 0; i < scaled_.size(); ++i) {
    if (!scaled_[i].seed) continue;
    const at::Tensor value = base[at_index(scaled_[i].value)].toTensor();
    environment[at_index(scaled_[i].value)] = stack_and_scale(value, scaled_[i], scales[i]);
  }
  for (size_t n = 0; n < nodes_.size(); ++n) {
    executor.run_node(environment, nodes_[n]);
    for (size_t i = 0; i < scaled_.size(); ++i) {
      if (scaled_[i].seed || scaled_[i].node != nodes_[n]) continue;
      c10::IValue& value = environment[at_index(scaled_[i].value)];
      value = scale(value.toTensor(), scaled_[i], scales[i]);
    }
    for (const ValueId dead : dies_after_[n])
      environment[at_index(dead)] = c10::IValue();
  }
  return environment[at_index(program_.output)].toTensor();
}

}  // namespace incite
