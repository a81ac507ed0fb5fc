#include "incite/program/executor.hpp"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include "first_line.hpp"
#include "incite/base/error.hpp"

namespace incite {

Executor::Executor(const Program& program)
    : program_(program), fixed_(program.values.size()), dies_after_(program.nodes.size()) {
  for (size_t i = 0; i < program.values.size(); ++i) {
    const Value& value = program.values[i];
    if (value.kind == Value::Kind::parameter || value.kind == Value::Kind::constant) fixed_[i] = value.content;
  }
  std::vector<bool> seen(program.values.size(), false);
  seen[static_cast<size_t>(program.output)] = true;
  for (size_t i = program.nodes.size(); i-- > 0;) {
    const Node& node = program.nodes[i];
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId id : *list) {
        const Value::Kind kind = program.value(id).kind;
        const bool made_by_run = kind == Value::Kind::computed || kind == Value::Kind::input;
        if (!made_by_run || seen[static_cast<size_t>(id)]) continue;
        seen[static_cast<size_t>(id)] = true;
        dies_after_[i].push_back(id);
      }
    }
  }
}

Environment Executor::start(const Batch& batch) const {
  INCITE_ASSERT(batch.inputs.size() == program_.inputs.size());
  Environment environment = fixed_;
  for (size_t i = 0; i < batch.inputs.size(); ++i)
    environment[static_cast<size_t>(program_.inputs[i])] = batch[i];
  return environment;
}

void Executor::run_node(Environment& environment, NodeId id) const {
  const Node& node = program_.node(id);
  std::vector<c10::IValue> stack;
  stack.reserve(node.inputs.size());
  for (const ValueId input : node.inputs)
    stack.push_back(environment[static_cast<size_t>(input)]);
  try {
    node.run(stack);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("{} at {}: {}", node.op, node.source, first_line(error)));
  }
  INCITE_ASSERT(stack.size() == node.outputs.size());
  for (size_t i = 0; i < stack.size(); ++i)
    environment[static_cast<size_t>(node.outputs[i])] = std::move(stack[i]);
}

void Executor::run(Environment& environment, NodeId first, NodeId last, const std::vector<bool>& keep) const {
  for (NodeId id = first; id < last; ++id) {
    run_node(environment, id);
    for (const ValueId dead : dies_after_[static_cast<size_t>(id)]) {
      if (keep.empty() || !keep[static_cast<size_t>(dead)]) environment[static_cast<size_t>(dead)] = c10::IValue();
    }
  }
}

at::Tensor Executor::operator()(const Batch& batch) const {
  Environment environment = start(batch);
  run(environment, 0, static_cast<NodeId>(program_.nodes.size()));
  return environment[static_cast<size_t>(program_.output)].toTensor();
}

Sample sample_values(const Program& program, const Batch& batch) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  Environment environment = executor.start(batch);
  Sample sample;
  sample.shapes.resize(program.values.size());
  sample.others.resize(program.values.size());
  const auto note = [&](ValueId id) {
    const auto i = static_cast<size_t>(id);
    if (environment[i].isTensor() && environment[i].toTensor().defined()) {
      sample.shapes[i] = environment[i].toTensor().sizes().vec();
    } else {
      sample.others[i] = environment[i];
    }
  };
  for (size_t i = 0; i < program.values.size(); ++i) {
    if (program.values[i].kind != Value::Kind::computed) note(static_cast<ValueId>(i));
    if (program.values[i].kind == Value::Kind::constant) sample.others[i] = program.values[i].content;
  }
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    executor.run(environment, id, id + 1);
    for (const ValueId output : program.node(id).outputs) {
      note(output);
      const c10::IValue& made = environment[static_cast<size_t>(output)];
      if (made.isTensor()) sample.activation_bytes += static_cast<int64_t>(made.toTensor().nbytes());
      // A list of tensors lives on in its elements.
      if (made.isTensorList()) sample.others[static_cast<size_t>(output)] = c10::IValue();
    }
  }
  return sample;
}

}  // namespace incite
