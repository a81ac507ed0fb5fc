#include "units/one_head.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "program/convolution.hpp"
#include "units/output_kind.hpp"

namespace incite {
namespace {

/// The node that adds up the outputs, behind operations that no head needs to know of; -1: there is none.
NodeId sum_of_outputs(const Program& program) {
  static const std::set<std::string> after = {"aten::softmax", "aten::log_softmax", "aten::sigmoid", "aten::flatten",
                                              "aten::contiguous"};
  for (ValueId value = program.output; program.is_computed(value);) {
    const NodeId maker = program.maker(value);
    const Node& node = program.node(maker);
    if (node.op == "aten::add" && node.overload == "Tensor") return maker;
    if (!after.contains(node.op) && !is_resampling(node.op)) return -1;
    value = node.inputs[0];
  }
  return -1;
}

/// The convolution that makes a value for one reader alone, with weights for itself.
const Node* pointwise_of(const Program& program, ValueId value) {
  const auto readers = [&](ValueId id) {
    int64_t count = 0;
    for (const Node& node : program.nodes)
      count += std::count(node.inputs.begin(), node.inputs.end(), id);
    return count;
  };
  if (!program.is_computed(value) || readers(value) != 1) return nullptr;
  const Node& node = program.node(program.maker(value));
  if (!is_convolution(node.op) || !program.is_parameter(node.inputs[1]) || readers(node.inputs[1]) != 1) return nullptr;
  const ValueId bias = node.inputs[2];
  if (program.is_parameter(bias) && readers(bias) != 1) return nullptr;
  return is_pointwise(program, node) ? &node : nullptr;
}

}  // namespace

Program with_one_head(const Program& program) {
  const NodeId sum = sum_of_outputs(program);
  if (sum < 0) return program;
  const std::vector<ValueId> added = program.node(sum).inputs;
  const c10::IValue& alpha = program.value(added[2]).content;
  const Node* first = pointwise_of(program, added[0]);
  const Node* second = pointwise_of(program, added[1]);
  if (first == nullptr || second == nullptr || first == second || !alpha.isInt() || alpha.toInt() != 1) return program;
  const auto weight = [&](const Node* node) { return program.value(node->inputs[1]).content.toTensor(); };
  const auto bias = [&](const Node* node) { return program.value(node->inputs[2]).content; };
  if (first->op != second->op || weight(first).size(0) != weight(second).size(0) ||
      bias(first).isTensor() != bias(second).isTensor()) {
    return program;
  }

  Program joined = program;
  joined.value(second->inputs[1]).content = at::cat({weight(first), weight(second)}, 1);
  if (bias(second).isTensor())
    joined.value(second->inputs[2]).content = bias(first).toTensor() + bias(second).toTensor();
  const std::string source = program.node(sum).source;
  const ValueId both = joined.add_computed(c10::ListType::ofTensors());
  Node list = make_container(c10::ListType::ofTensors(), {first->inputs[0], second->inputs[0]}, both, source);
  Node features = make_node(joined, "aten::cat", "", {both, joined.add_constant(1)}, source);
  Node head = *second;
  head.inputs[0] = features.outputs[0];
  head.outputs = program.node(sum).outputs;
  joined.node(sum) = std::move(head);
  joined.nodes.insert(joined.nodes.begin() + sum, {std::move(list), std::move(features)});
  joined.remove_dead_nodes();
  return joined;
}

}  // namespace incite
