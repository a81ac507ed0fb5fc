#include "program/program.hpp"

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>

#include "base/fail.hpp"

namespace incite {

NodeId Program::maker(ValueId id) const {
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (std::find(nodes[n].outputs.begin(), nodes[n].outputs.end(), id) != nodes[n].outputs.end())
      return static_cast<NodeId>(n);
  }
  throw std::logic_error("a value that no node makes");
}

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

ValueId Program::add_computed(c10::TypePtr type) {
  Value value;
  value.type = std::move(type);
  return add(std::move(value));
}

ValueId Program::append(Node node) {
  nodes.push_back(std::move(node));
  return nodes.back().outputs.front();
}

int64_t Program::parameter_count() const {
  std::vector<bool> read(values.size(), false);
  for (const Node& node : nodes) {
    for (const ValueId id : node.inputs)
      read[at_index(id)] = true;
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
  needed[at_index(output)] = true;
  for (const ValueId input : inputs)
    needed[at_index(input)] = true;
  std::vector<Node> alive;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const bool used =
        std::any_of(node->outputs.begin(), node->outputs.end(), [&](ValueId id) { return needed[at_index(id)]; });
    if (!used) continue;
    for (const ValueId id : node->inputs)
      needed[at_index(id)] = true;
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

Node make_node(const std::string& op, const std::string& overload, std::vector<ValueId> inputs,
               std::vector<ValueId> outputs, const std::string& source) {
  Node node;
  node.op = op;
  node.overload = overload;
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.source = source;
  node.run = find_operation(op, overload);
  return node;
}

Node make_node(Program& program, const std::string& op, const std::string& overload, std::vector<ValueId> inputs,
               const std::string& source, c10::TypePtr type) {
  return make_node(op, overload, std::move(inputs), {program.add_computed(std::move(type))}, source);
}

Operation construct(const c10::TypePtr& type, size_t size) {
  if (type->kind() == c10::TypeKind::DictType) {
    return [size, dict_type = type->expect<c10::DictType>()](std::vector<c10::IValue>& stack) {
      c10::impl::GenericDict dict(dict_type->getKeyType(), dict_type->getValueType());
      for (auto item = stack.end() - static_cast<std::ptrdiff_t>(size); item != stack.end(); item += 2)
        dict.insert_or_assign(*item, *(item + 1));
      stack.resize(stack.size() - size);
      stack.emplace_back(std::move(dict));
    };
  }
  if (type->kind() != c10::TypeKind::ListType) {
    return [size](std::vector<c10::IValue>& stack) {
      std::vector<c10::IValue> items(stack.end() - static_cast<std::ptrdiff_t>(size), stack.end());
      stack.resize(stack.size() - size);
      stack.emplace_back(c10::ivalue::Tuple::create(std::move(items)));
    };
  }
  return [size, element = type->expectRef<c10::ListType>().getElementType()](std::vector<c10::IValue>& stack) {
    c10::impl::GenericList list(element);
    list.reserve(size);
    for (auto item = stack.end() - static_cast<std::ptrdiff_t>(size); item != stack.end(); ++item)
      list.push_back(*item);
    stack.resize(stack.size() - size);
    stack.emplace_back(std::move(list));
  };
}

Node make_container(const c10::TypePtr& type, std::vector<ValueId> inputs, ValueId output, const std::string& source) {
  Node node;
  node.op = type->kind() == c10::TypeKind::DictType   ? "prim::DictConstruct"
            : type->kind() == c10::TypeKind::ListType ? "prim::ListConstruct"
                                                      : "prim::TupleConstruct";
  node.run = construct(type, inputs.size());
  node.inputs = std::move(inputs);
  node.outputs = {output};
  node.source = source;
  return node;
}

}  // namespace incite
