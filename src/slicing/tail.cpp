#include "slicing/tail.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "program/convolution.hpp"

namespace incite {
namespace {

bool made_by_run(const Program& program, ValueId id) {
  const Value::Kind kind = program.value(id).kind;
  return kind == Value::Kind::computed || kind == Value::Kind::input;
}

/// The first node that reads a value.
NodeId reader_of(const Program& program, ValueId value) {
  const auto node = std::find_if(program.nodes.begin(), program.nodes.end(), [&](const Node& one) {
    return std::find(one.inputs.begin(), one.inputs.end(), value) != one.inputs.end();
  });
  return node == program.nodes.end() ? -1 : static_cast<NodeId>(node - program.nodes.begin());
}

/// By value: whether the output depends on it.
std::vector<bool> needed_values(const Program& program) {
  std::vector<bool> needed(program.values.size(), false);
  needed[at_index(program.output)] = true;
  // clang 14 can't compile the ranges of g++ 12.
  // NOLINTNEXTLINE(modernize-loop-convert)
  for (auto node = program.nodes.rbegin(); node != program.nodes.rend(); ++node) {
    if (std::none_of(node->outputs.begin(), node->outputs.end(), [&](ValueId id) { return needed[at_index(id)]; })) {
      continue;
    }
    for (const ValueId id : node->inputs)
      needed[at_index(id)] = true;
  }
  return needed;
}

/// What the tail reads, for a batch.
TailInputs inputs_for(const Executor& executor, const Tail& tail, const Batch& batch) {
  const Program& program = executor.program();
  std::vector<bool> keep(program.values.size(), false), skip(program.nodes.size(), false);
  NodeId last = 0;
  for (const ValueId id : tail.reads) {
    keep[at_index(id)] = true;
    if (program.is_computed(id)) last = std::max(last, program.maker(id) + 1);
  }
  for (const NodeId node : tail.nodes)
    skip[at_index(node)] = true;
  Environment environment = executor.start(batch);
  for (NodeId node = 0; node < last; ++node) {
    if (skip[at_index(node)]) continue;
    executor.run_node(environment, node);
    executor.free_after(environment, node, keep);
  }
  TailInputs inputs;
  for (const ValueId id : tail.reads)
    inputs.push_back(environment[at_index(id)].toTensor());
  return inputs;
}

}  // namespace

std::optional<ValueId> last_layers(const Program& program, const UnitMap& map, int64_t most) {
  if (map.head < 0) return {};
  const NodeId head = map.layer(map.head).node;
  std::vector<const Layer*> before;  // the last first
  for (const Layer& layer : map.layers) {
    if (layer.node < head && program.is_parameter(layer.weight)) before.push_back(&layer);
  }
  std::sort(before.begin(), before.end(), [](const Layer* a, const Layer* b) { return a->node > b->node; });
  const Layer* first = nullptr;
  int64_t taken = 0;
  for (const Layer* layer : before) {
    const std::string& op = program.node(layer->node).op;
    const bool convolution = is_convolution(op);
    if (taken == most || (op != "aten::linear" && (taken > 0 || !convolution))) break;
    first = layer;
    ++taken;
    if (convolution) break;
  }
  return first == nullptr ? std::nullopt : std::optional(first->weight);
}

std::optional<Tail> find_tail(const Program& program, ValueId parameter, const Batch& batch) {
  const NodeId first = reader_of(program, parameter);
  if (first < 0) return std::nullopt;
  const std::vector<bool> needed = needed_values(program);
  std::vector<bool> changed(program.values.size(), false);
  Tail tail;
  for (size_t n = at_index(first); n < program.nodes.size(); ++n) {
    const Node& node = program.nodes[n];
    const bool depends =
        static_cast<NodeId>(n) == first ||
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return changed[at_index(id)]; });
    const bool matters =
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return needed[at_index(id)]; });
    if (!depends || !matters) continue;
    tail.nodes.push_back(static_cast<NodeId>(n));
    for (const ValueId id : node.outputs)
      changed[at_index(id)] = true;
  }
  const Sample sample = sample_values(program, batch);
  for (const NodeId n : tail.nodes) {
    for (const ValueId id : program.node(n).inputs) {
      if (!made_by_run(program, id) || changed[at_index(id)]) continue;
      if (std::find(tail.reads.begin(), tail.reads.end(), id) != tail.reads.end()) continue;
      const int64_t axis = sample.batch_axis(id);
      if (axis < 0 || sample.shape(id)[static_cast<size_t>(axis)] != batch.samples()) return std::nullopt;
      tail.reads.push_back(id);
      tail.axes.push_back(axis);
    }
  }
  return tail;
}

TailInputs run_up_to(const Program& program, const Tail& tail, const Dataset& data, const at::Tensor& samples,
                     int64_t at_once) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  std::vector<std::vector<at::Tensor>> parts(tail.reads.size());
  in_batches(samples.size(0), at_once, [&](int64_t first, int64_t count) {
    const Batch batch = data.batch(samples.narrow(0, first, count), program.device);
    const TailInputs inputs = inputs_for(executor, tail, batch);
    for (size_t i = 0; i < inputs.size(); ++i)
      parts[i].push_back(inputs[i]);
  });
  TailInputs all;
  for (size_t i = 0; i < parts.size(); ++i)
    all.push_back(at::cat(parts[i], tail.axes[i]));
  return all;
}

TailInputs select_rows(const Tail& tail, const TailInputs& inputs, const at::Tensor& rows) {
  TailInputs selected;
  for (size_t i = 0; i < inputs.size(); ++i)
    selected.push_back(inputs[i].index_select(tail.axes[i], rows));
  return selected;
}

bool makes(const Program& program, const Tail& tail, ValueId value) {
  return program.is_computed(value) &&
         std::find(tail.nodes.begin(), tail.nodes.end(), program.maker(value)) != tail.nodes.end();
}

at::Tensor run_tail(const Executor& executor, const Tail& tail, const TailInputs& inputs, ValueId result) {
  Environment environment = executor.resume({});
  for (size_t i = 0; i < inputs.size(); ++i)
    environment[at_index(tail.reads[i])] = inputs[i];
  std::vector<bool> keep(environment.size(), false);
  keep[at_index(result)] = true;
  const NodeId last = executor.program().maker(result);
  for (const NodeId node : tail.nodes) {
    executor.run_node(environment, node);
    if (node == last) break;
    executor.free_after(environment, node, keep);
  }
  return environment[at_index(result)].toTensor();
}

}  // namespace incite
