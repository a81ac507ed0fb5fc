#include "program/recurrent.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <string>

namespace incite {
namespace {

bool is_given(const Program& program, const Node& node, size_t input) {
  return program.is_constant(node.inputs[input]);
}

/// The states of one direction: hidden, and the cell of an LSTM.
struct State {
  at::Tensor hidden, cell;
};

/// One step from the products of the input and of what is read of the state, both with their biases.
State step(RecurrentLayer::Cell cell, const at::Tensor& of_input, const at::Tensor& of_state, const State& before) {
  switch (cell) {
    case RecurrentLayer::Cell::lstm: {
      const std::vector<at::Tensor> gates = (of_input + of_state).chunk(4, 1);
      const at::Tensor kept = gates[1].sigmoid() * before.cell + gates[0].sigmoid() * gates[2].tanh();
      return {gates[3].sigmoid() * kept.tanh(), kept};
    }
    case RecurrentLayer::Cell::gru: {
      const std::vector<at::Tensor> x = of_input.chunk(3, 1), h = of_state.chunk(3, 1);
      const at::Tensor reset = (x[0] + h[0]).sigmoid(), update = (x[1] + h[1]).sigmoid();
      const at::Tensor made = (x[2] + reset * h[2]).tanh();
      return {made + update * (before.hidden - made), {}};
    }
    case RecurrentLayer::Cell::rnn_tanh:
      return {(of_input + of_state).tanh(), {}};
    case RecurrentLayer::Cell::rnn_relu:
      break;
  }
  return {(of_input + of_state).relu(), {}};
}

}  // namespace

std::optional<RecurrentLayer> recurrent_of(const Program& program, const Node& node) {
  static const std::map<std::string, std::pair<RecurrentLayer::Cell, int64_t>> cells = {
      {"aten::lstm", {RecurrentLayer::Cell::lstm, 4}},
      {"aten::gru", {RecurrentLayer::Cell::gru, 3}},
      {"aten::rnn_tanh", {RecurrentLayer::Cell::rnn_tanh, 1}},
      {"aten::rnn_relu", {RecurrentLayer::Cell::rnn_relu, 1}}};
  const auto found = cells.find(node.op);
  if (found == cells.end() || node.overload != "input" || node.inputs.size() != 9) return std::nullopt;
  for (const size_t i : {3, 4, 7, 8}) {
    if (!is_given(program, node, i)) return std::nullopt;
  }
  const auto constant = [&](size_t i) -> const c10::IValue& { return program.value(node.inputs[i]).content; };
  if (constant(4).toInt() != 1 || !program.is_computed(node.inputs[2])) return std::nullopt;
  RecurrentLayer layer;
  layer.cell = found->second.first;
  layer.gates = found->second.second;
  layer.biased = constant(3).toBool();
  layer.batch_first = constant(8).toBool();
  layer.parameters = node.inputs[2];
  const std::vector<ValueId>& parameters = program.node(program.maker(layer.parameters)).inputs;
  const size_t each = layer.biased ? 4 : 2, directions = constant(7).toBool() ? 2 : 1;
  if (parameters.size() != each * directions) return std::nullopt;
  for (size_t first = 0; first < parameters.size(); first += each) {
    RecurrentLayer::Direction& direction = layer.directions.emplace_back();
    direction.input_weight = parameters[first];
    direction.state_weight = parameters[first + 1];
    if (!layer.biased) continue;
    direction.input_bias = parameters[first + 2];
    direction.state_bias = parameters[first + 3];
  }
  return layer;
}

at::Tensor first_state(const c10::IValue& states) {
  return states.isTensorList() ? states.toTensorList().get(0) : states.toTensor();
}

std::vector<at::Tensor> run_by_steps(const RecurrentLayer& layer, const std::vector<c10::IValue>& inputs,
                                     const at::Tensor& shift) {
  const int64_t axis = layer.time_axis(), steps = shift.size(axis);
  const auto directions = static_cast<int64_t>(layer.directions.size());
  const std::vector<at::Tensor> parameters = inputs[2].toTensorVector();
  const size_t each = layer.biased ? 4 : 2;
  const bool has_cell = layer.cell == RecurrentLayer::Cell::lstm;
  const std::vector<at::Tensor> shifts = shift.chunk(directions, 2);
  std::vector<at::Tensor> outputs, hidden, cells;
  for (int64_t direction = 0; direction < directions; ++direction) {
    const auto d = static_cast<size_t>(direction);
    const auto bias = [&](size_t i) { return layer.biased ? parameters[d * each + i] : at::Tensor(); };
    const at::Tensor of_inputs = at::linear(inputs[0].toTensor(), parameters[d * each], bias(2));
    State state{first_state(inputs[1])[direction],
                has_cell ? inputs[1].toTensorList().get(1)[direction] : at::Tensor()};
    std::vector<at::Tensor> made(static_cast<size_t>(steps));
    for (int64_t i = 0; i < steps; ++i) {
      const int64_t t = direction > 0 ? steps - 1 - i : i;
      const at::Tensor read = state.hidden + shifts[d].select(axis, t);
      state = step(layer.cell, of_inputs.select(axis, t), at::linear(read, parameters[d * each + 1], bias(3)), state);
      made[static_cast<size_t>(t)] = state.hidden;
    }
    outputs.push_back(at::stack(made, axis));
    hidden.push_back(state.hidden);
    if (has_cell) cells.push_back(state.cell);
  }
  std::vector<at::Tensor> all = {at::cat(outputs, 2), at::stack(hidden)};
  if (has_cell) all.push_back(at::stack(cells));
  return all;
}

at::Tensor own_inputs(const RecurrentLayer& layer, const at::Tensor& outputs, const at::Tensor& first) {
  const std::vector<at::Tensor> of_directions = outputs.chunk(first.size(0), 2);
  std::vector<at::Tensor> before;
  for (size_t d = 0; d < of_directions.size(); ++d)
    before.push_back(states_before(of_directions[d], first[static_cast<int64_t>(d)], layer.time_axis(), d > 0));
  return at::cat(before, 2);
}

at::Tensor states_before(const at::Tensor& outputs, const at::Tensor& first, int64_t time_axis, bool backwards) {
  const int64_t others = outputs.size(time_axis) - 1;
  const at::Tensor start = first.unsqueeze(time_axis);
  if (backwards) return at::cat({outputs.narrow(time_axis, 1, others), start}, time_axis);
  return at::cat({start, outputs.narrow(time_axis, 0, others)}, time_axis);
}

}  // namespace incite
