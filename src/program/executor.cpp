#include "program/executor.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include "base/fail.hpp"
#include "base/first_line.hpp"

namespace incite {
namespace {

constexpr int64_t gpu_batch_bytes = int64_t{256} << 20;

}  // namespace

Executor::Executor(const Program& program)
    : program_(program), fixed_(program.values.size()), dies_after_(program.nodes.size()) {
  for (size_t i = 0; i < program.values.size(); ++i) {
    const Value& value = program.values[i];
    if (value.kind == Value::Kind::parameter || value.kind == Value::Kind::constant) fixed_[i] = value.content;
  }
  std::vector<bool> seen(program.values.size(), false);
  seen[at_index(program.output)] = true;
  for (size_t i = program.nodes.size(); i-- > 0;) {
    const Node& node = program.nodes[i];
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId id : *list) {
        const Value::Kind kind = program.value(id).kind;
        const bool made_by_run = kind == Value::Kind::computed || kind == Value::Kind::input;
        if (!made_by_run || seen[at_index(id)]) continue;
        seen[at_index(id)] = true;
        dies_after_[i].push_back(id);
      }
    }
  }
}

Environment Executor::start(const Batch& batch) const {
  INCITE_ASSERT(batch.inputs.size() == program_.inputs.size());
  Environment environment = fixed_;
  for (size_t i = 0; i < batch.inputs.size(); ++i)
    environment[at_index(program_.inputs[i])] = batch[i];
  return environment;
}

Environment Executor::resume(const Environment& saved) const {
  Environment environment = fixed_;
  for (size_t i = 0; i < saved.size(); ++i) {
    const Value::Kind kind = program_.values[i].kind;
    if (kind == Value::Kind::computed || kind == Value::Kind::input) environment[i] = saved[i];
  }
  return environment;
}

std::vector<c10::IValue> Executor::apply(NodeId id, std::vector<c10::IValue> inputs) const {
  const Node& node = program_.node(id);
  try {
    node.run(inputs);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("{} at {}: {}", node.op, node.source, first_line(error)));
  }
  INCITE_ASSERT(inputs.size() == node.outputs.size());
  return inputs;
}

void Executor::run_node(Environment& environment, NodeId id) const {
  const Node& node = program_.node(id);
  std::vector<c10::IValue> inputs;
  inputs.reserve(node.inputs.size());
  for (const ValueId input : node.inputs)
    inputs.push_back(environment[at_index(input)]);
  std::vector<c10::IValue> outputs = apply(id, std::move(inputs));
  for (size_t i = 0; i < outputs.size(); ++i)
    environment[at_index(node.outputs[i])] = std::move(outputs[i]);
}

void Executor::run(Environment& environment, NodeId first, NodeId last, const std::vector<bool>& keep) const {
  for (NodeId id = first; id < last; ++id) {
    run_node(environment, id);
    free_after(environment, id, keep);
  }
}

void Executor::free_after(Environment& environment, NodeId id, const std::vector<bool>& keep) const {
  for (const ValueId dead : dies_after_[at_index(id)]) {
    if (keep.empty() || !keep[at_index(dead)]) environment[at_index(dead)] = c10::IValue();
  }
}

at::Tensor Executor::operator()(const Batch& batch) const {
  Environment environment = start(batch);
  run(environment, 0, static_cast<NodeId>(program_.nodes.size()));
  return environment[at_index(program_.output)].toTensor();
}

int64_t batch_size(const Program& program, const Batch& batch, int64_t most, int64_t bytes) {
  if (batch.samples() == 0) return most;
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  Environment environment = executor.start(batch);
  int64_t peak = 1;
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    executor.run_node(environment, id);
    int64_t alive = 0;
    for (size_t i = 0; i < environment.size(); ++i) {
      const bool made = program.values[i].kind == Value::Kind::computed;
      if (made && environment[i].isTensor()) alive += static_cast<int64_t>(environment[i].toTensor().nbytes());
    }
    peak = std::max(peak, alive);
    executor.free_after(environment, id);
  }
  const int64_t room = program.device.is_cpu() ? bytes : std::max(bytes, gpu_batch_bytes);
  return std::clamp<int64_t>(room * batch.samples() / peak, 1, most);
}

namespace {

/// Runs the program on `batch` and hands each value that is there to `note` as soon as it is made.
template <typename Note>
void run_and_note(const Program& program, const Batch& batch, Note&& note) {
  const Executor executor(program);
  Environment environment = executor.start(batch);
  for (size_t i = 0; i < program.values.size(); ++i) {
    if (program.values[i].kind != Value::Kind::computed) note(i, environment[i]);
  }
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    executor.run_node(environment, id);
    for (const ValueId output : program.node(id).outputs)
      note(at_index(output), environment[at_index(output)]);
    executor.free_after(environment, id);
  }
}

/// The first axis in which two shapes of the same value differ.
int64_t differing_axis(at::IntArrayRef a, at::IntArrayRef b) {
  for (size_t axis = 0; axis < std::min(a.size(), b.size()); ++axis) {
    if (a[axis] != b[axis]) return static_cast<int64_t>(axis);
  }
  return -1;
}

}  // namespace

Sample sample_values(const Program& program, const Batch& batch) {
  const at::NoGradGuard no_grad;
  Sample sample;
  sample.shapes.resize(program.values.size());
  sample.others.resize(program.values.size());
  sample.batch_axes.assign(program.values.size(), -1);
  run_and_note(program, batch, [&](size_t i, const c10::IValue& value) {
    const bool constant = program.values[i].kind == Value::Kind::constant;
    if (value.isTensor() && value.toTensor().defined()) {
      sample.shapes[i] = value.toTensor().sizes().vec();
      if (constant) sample.others[i] = value;
      if (program.values[i].kind == Value::Kind::computed)
        sample.activation_bytes += static_cast<int64_t>(value.toTensor().nbytes());
    } else if (!value.isTensorList() || constant) {  // a list of tensors lives on in its elements
      sample.others[i] = value;
    }
  });
  const Batch more = batch.each([](const at::Tensor& input) { return at::cat({input, input.narrow(0, 0, 1)}); });
  run_and_note(program, more, [&](size_t i, const c10::IValue& value) {
    if (value.isTensor() && value.toTensor().defined())
      sample.batch_axes[i] = differing_axis(sample.shapes[i], value.toTensor().sizes());
  });
  return sample;
}

}  // namespace incite
