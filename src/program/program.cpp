#include "incite/program/program.hpp"

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>

#include "incite/base/error.hpp"

namespace incite {

ValueId Program::add(Value value) {
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Program::add_constant(c10::IValue content) {
  Value constant;
  constant.kind = Value::Kind::constant;
  constant.type = content.type();
  constant.content = std::move(content);
  return add(std::move(constant));
}

int64_t Program::parameter_count() const {
  std::vector<bool> read(values.size(), false);
  for (const Node& node : nodes) {
    for (const ValueId id : node.inputs)
      read[static_cast<size_t>(id)] = true;
  }
  int64_t count = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (read[i] && values[i].kind == Value::Kind::parameter && !values[i].is_buffer) {
      count += values[i].content.toTensor().numel();
    }
  }
  return count;
}

void Program::remove_dead_nodes() {
  std::vector<bool> needed(values.size(), false);
  needed[static_cast<size_t>(output)] = true;
  for (const ValueId input : inputs)
    needed[static_cast<size_t>(input)] = true;
  std::vector<Node> alive;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const bool used = std::any_of(node->outputs.begin(), node->outputs.end(),
                                  [&](ValueId id) { return needed[static_cast<size_t>(id)]; });
    if (!used) continue;
    for (const ValueId id : node->inputs)
      needed[static_cast<size_t>(id)] = true;
    alive.push_back(std::move(*node));
  }
  std::reverse(alive.begin(), alive.end());
  nodes = std::move(alive);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!needed[i]) values[i].content = c10::IValue();
  }
}

Operation find_operation(const std::string& op, const std::string& overload) {
  for (const auto& candidate : torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(op))) {
    if (candidate->schema().overload_name() == overload) {
      return [operation = candidate->getOperation()](std::vector<c10::IValue>& stack) mutable { operation(stack); };
    }
  }
  throw std::logic_error(fmt::format("LibTorch has no operator {}.{}", op, overload));
}

}  // namespace incite
