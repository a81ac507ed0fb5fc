// Rules of the operations that make channels with trained weights.

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "base/fail.hpp"
#include "program/convolution.hpp"
#include "units/rules.hpp"

namespace incite::rules {
namespace {

/// Cuts what a layer's weight reads by the labels of its input (input 0), and pins labels that lie along another axis.
void read(Analysis& a, int64_t channel_axis, const Place& weight, int64_t weight_dimension) {
  const ValueId x = a.node().inputs[0];
  if (!a.flow(x).defined() || !labelled_along(a, x, channel_axis, PinReason::axis)) return;
  a.add_reader(a.place(0));
  a.bind(weight, weight_dimension, labels_of(a.flow(x)));
}

/// The channels of the node's output, a new layer's, with its weight and bias cut alike.
std::vector<int32_t> produce(Analysis& a, const Place& weight, int64_t weight_axis, std::optional<Place> bias,
                             int64_t output_axis) {
  const ValueId output = a.node().outputs[0];
  const int64_t channels = a.size(output, output_axis);
  const bool stored_bias = bias && a.is_stored(*bias);
  const std::vector<int32_t> labels =
      a.add_layer(a.value_at(weight), weight_axis, stored_bias ? a.value_at(*bias) : -1, output_axis, channels);
  const Flow flow = flow_along(a.rank(output), output_axis, labels);
  if (a.size(a.value_at(weight), weight_axis) == channels) a.bind(weight, weight_axis, labels);
  if (bias && a.can_bind(*bias)) {
    a.bind(*bias, 0, labels);
  } else if (bias) {
    a.pin(flow, PinReason::computed);
  }
  a.set_output(flow);
  return labels;
}

std::optional<Place> optional_input(Analysis& a, size_t i) {
  if (!a.has_input(i)) return std::nullopt;
  return a.place(i);
}

/// A convolution in groups: all channels that one group reads and all that it makes are one unit, but each channel of a
/// depthwise one.
void grouped_convolution(Analysis& a, const Convolution& convolution) {
  const int64_t groups = convolution.groups.toInt();
  const ValueId x = a.node().inputs[0];
  const bool labelled = a.flow(x).defined() && labelled_along(a, x, 1, PinReason::axis);
  const std::vector<int32_t> made = produce(a, a.place(1), 0, optional_input(a, 2), 1);
  const std::vector<int32_t> read = labelled ? labels_of(a.flow(x)) : std::vector<int32_t>();
  const int64_t reads = a.input_shape(0)[1] / groups;
  const int64_t makes = static_cast<int64_t>(made.size()) / groups;
  for (int64_t g = 0; g < groups; ++g) {
    const int32_t first = made[static_cast<size_t>(g * makes)];
    for (int64_t i = 1; i < makes; ++i)
      a.tie(first, made[static_cast<size_t>(g * makes + i)], PinReason::grouped);
    for (int64_t i = 0; i < reads; ++i)
      a.tie(first, labelled ? read[static_cast<size_t>(g * reads + i)] : no_unit, PinReason::grouped);
  }
  // A transposed one's weight counts what it reads first.
  if (convolution.transposed && labelled && a.input_shape(1)[0] != static_cast<int64_t>(made.size()))
    a.bind(a.place(1), 0, read);
  if (labelled) a.add_reader(a.place(0));
  a.set_output(flow_along(a.rank(a.node().outputs[0]), 1, made));
  a.add_size(convolution.groups_input, -1, a.node().outputs[0]);
}

/// Gate by gate, the labels of a recurrent layer's hidden units.
std::vector<int32_t> by_gates(const std::vector<int32_t>& units, int64_t gates) {
  std::vector<int32_t> rows;
  for (int64_t gate = 0; gate < gates; ++gate)
    rows.insert(rows.end(), units.begin(), units.end());
  return rows;
}

/// Cuts the starting state [directions, samples, hidden] at `place`.
void cut_state(Analysis& a, const Place& place, const std::vector<int32_t>& units) {
  const ValueId state = a.value_at(place);
  const Flow flow = flow_along(3, 2, units);
  if (a.can_bind(place)) {
    a.bind(place, 2, units);
  } else if (a.flow(state).defined() && labelled_along(a, state, 2, PinReason::axis)) {
    a.tie(a.flow(state), flow, PinReason::none);
  } else {
    a.pin(flow, PinReason::none);
  }
}

/// A recurrent layer of `gates` gates, of one layer (lower.cpp takes several apart) and one or two directions. Its
/// units are its hidden units: the rows of each gate, and the columns of the recurrent weights that read them. Both
/// directions have the same number, so the same position in both is one unit.
void recurrent(Analysis& a, int64_t gates) {
  const bool biased = a.constant(3).toBool();
  const bool both = a.constant(7).toBool();
  const int64_t directions = both ? 2 : 1;
  const std::vector<Place> parameters = a.list_elements(2);
  const size_t each = biased ? 4 : 2;
  if (a.integer(4) != 1) return a.pin_inputs(PinReason::layers);
  if (parameters.size() != each * static_cast<size_t>(directions)) return a.pin_inputs(PinReason::projected);
  for (const Place& parameter : parameters) {
    if (!a.is_stored(parameter)) return a.pin_inputs(PinReason::computed);
  }
  const ValueId x = a.node().inputs[0];
  if (a.rank(x) != 3) return a.pin_inputs(PinReason::unbatched);
  const bool labelled = a.flow(x).defined() && labelled_along(a, x, 2, PinReason::axis);

  const ValueId weight = a.value_at(parameters[0]);
  const int64_t hidden = a.shape(a.value_at(parameters[1]))[1];
  const std::vector<int32_t> made =
      a.add_layer(weight, 0, biased ? a.value_at(parameters[2]) : -1, 2, hidden * directions);
  const std::vector<int32_t> units(made.begin(), made.begin() + hidden);
  for (int64_t i = hidden; i < hidden * directions; ++i)
    a.tie(made[static_cast<size_t>(i - hidden)], made[static_cast<size_t>(i)], PinReason::directions);
  Layer& layer = a.last_layer();
  layer.gates = gates;
  for (size_t output = 1; output < a.node().outputs.size(); ++output)
    layer.states.push_back(a.node().outputs[output]);
  const size_t kind = layer.name.rfind("weight_ih_");  // "lstm.weight_ih_l0" is layer "lstm.l0"
  if (kind != std::string::npos) layer.name.erase(kind, std::string("weight_ih_").size());

  for (int64_t direction = 0; direction < directions; ++direction) {
    const auto first = parameters.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(direction) * each);
    for (size_t i = 0; i < each; ++i)
      a.bind(first[static_cast<std::ptrdiff_t>(i)], 0, by_gates(units, gates));
    if (labelled) a.bind(first[0], 1, labels_of(a.flow(x)));
    a.bind(first[1], 1, units);
    a.add_feedback(a.value_at(first[1]), units);
  }
  if (labelled) a.add_reader(a.place(0));
  if (const std::vector<Place> states = a.list_elements(1); !states.empty()) {
    for (const Place& state : states)
      cut_state(a, state, units);
  } else {
    cut_state(a, a.place(1), units);
  }
  a.set_output(flow_along(3, 2, made));
  for (const ValueId state : layer.states)
    a.set_flow(state, flow_along(3, 2, units));
}

}  // namespace

void linear(Analysis& a) {
  if (!a.is_stored(a.place(1)) || a.input_rank(1) != 2) return a.pin_inputs(PinReason::computed);
  const int64_t axis = a.input_rank(0) - 1;
  read(a, axis, a.place(1), 1);
  produce(a, a.place(1), 0, optional_input(a, 2), axis);
}

void convolution(Analysis& a) {
  const Convolution c = *convolution_of(a.node(), [&](size_t i) -> const c10::IValue& { return a.constant(i); });
  if (!a.is_stored(a.place(1))) return a.pin_inputs(PinReason::computed);
  if (a.input_rank(0) != a.input_rank(1)) return a.pin_inputs(PinReason::unbatched);
  if (c.groups.toInt() > 1) return grouped_convolution(a, c);
  read(a, 1, a.place(1), c.transposed ? 0 : 1);
  produce(a, a.place(1), c.transposed ? 1 : 0, optional_input(a, 2), 1);
}

/// embedding(weight, indices, …): its units are the positions of a vector.
void embedding(Analysis& a) {
  if (!a.is_stored(a.place(0))) return a.pin_inputs(PinReason::computed);
  produce(a, a.place(0), 1, std::nullopt, a.rank(a.node().outputs[0]) - 1);
}

void lstm(Analysis& a) {
  recurrent(a, 4);
}

void gru(Analysis& a) {
  recurrent(a, 3);
}

void simple_recurrent(Analysis& a) {
  recurrent(a, 1);
}

}  // namespace incite::rules
