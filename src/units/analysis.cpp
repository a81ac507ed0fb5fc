#include "units/analysis.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/fail.hpp"

namespace incite {
namespace {

/// Operations whose result does not depend on the content of a tensor that they read, nor on the size of an axis along
/// which labels could vary.
bool ignores_content(const Node& node) {
  static const std::set<std::string> ops = {"aten::size",     "aten::dim",       "aten::len",       "aten::numel",
                                            "prim::device",   "prim::dtype",     "aten::new_zeros", "aten::new_ones",
                                            "aten::new_full", "aten::new_empty", "prim::layout"};
  return ops.contains(node.op);
}

/// How many different labels are left when those of each position along `axis` are one.
size_t classes_along(const Flow& flow, int64_t axis) {
  DisjointSets sets;
  std::map<int32_t, int32_t> numbers;  // by label
  const auto number = [&](int32_t label) {
    const auto [entry, added] = numbers.try_emplace(label, -1);
    if (added) entry->second = sets.add();
    return entry->second;
  };
  const at::Tensor rows = flow.movedim(axis, 0).flatten(1).contiguous();
  const int32_t* label = rows.data_ptr<int32_t>();
  for (int64_t row = 0; row < rows.size(0); ++row) {
    const int32_t first = number(*label);
    for (int64_t i = 0; i < rows.size(1); ++i)
      sets.join(first, number(*label++));
  }
  return sets.sets();
}

}  // namespace

Analysis::Analysis(const Program& program, const Sample& sample)
    : program_(program), sample_(sample), flows_(program.values.size()), fixed_(program.values.size(), false) {
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    for (const ValueId output : program.nodes[n].outputs)
      makers_[output] = id;
    for (size_t i = 0; i < program.nodes[n].inputs.size(); ++i) {
      const ValueId input = program.nodes[n].inputs[i];
      if (!program.is_computed(input)) reads_[input].insert({id, i});
    }
  }
  find_fixed();
}

void Analysis::find_fixed() {
  for (size_t value = 0; value < program_.values.size(); ++value) {
    const Value::Kind kind = program_.values[value].kind;
    fixed_[value] = kind == Value::Kind::parameter || kind == Value::Kind::constant;
  }
  for (const Node& node : program_.nodes) {
    const bool fixed = ignores_content(node) || std::all_of(node.inputs.begin(), node.inputs.end(),
                                                            [&](ValueId input) { return is_fixed(input); });
    for (const ValueId output : node.outputs)
      fixed_[at_index(output)] = fixed;
  }
}

UnitMap Analysis::run() {
  map_.localities.assign(program_.nodes.size(), Locality::mixing);
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    id_ = static_cast<NodeId>(n);
    node_ = &program_.nodes[n];
    // What is made of parameters alone stays as it is; where units meet it, it is cut.
    const bool fixed =
        std::all_of(node_->outputs.begin(), node_->outputs.end(), [&](ValueId v) { return is_fixed(v); });
    if (fixed && node_->op != "aten::size") continue;
    if (!apply_rule(*this) && !left_out("(unknown)", "pin")) pin_inputs(PinReason::unknown);
  }
  resolve_layouts();
  resolve_sizes();
  check_parameters();
  finish_outputs();
  build_units();
  build_groups();
  build_spans();
  build_pins();
  find_whole_layers();
  return std::move(map_);
}

// ---- What the current node reads ----------------------------------------------------------------------------------

bool Analysis::has_input(size_t i) const {
  if (i >= node_->inputs.size()) return false;
  const Value& value = program_.value(node_->inputs[i]);
  return value.kind != Value::Kind::constant || !value.content.isNone();
}

bool Analysis::is_tensor(size_t i) const {
  const ValueId value = node_->inputs[i];
  return !shape(value).empty() || constant(i).isTensor() ||
         program_.value(value).type->kind() == c10::TypeKind::TensorType;
}

const c10::IValue& Analysis::constant(size_t i) const {
  return sample_.others[at_index(node_->inputs[i])];
}

std::vector<Place> Analysis::list_elements(size_t i) const {
  const auto maker = makers_.find(node_->inputs[i]);
  if (maker == makers_.end() || program_.node(maker->second).op != "prim::ListConstruct") return {};
  std::vector<Place> places;
  for (size_t element = 0; element < program_.node(maker->second).inputs.size(); ++element)
    places.push_back({maker->second, element});
  return places;
}

// ---- Labels -------------------------------------------------------------------------------------------------------

/// The flow with each label's root in its place.
Flow Analysis::rooted(const Flow& flow) {
  if (!flow.defined()) return flow;
  at::Tensor roots = flow.clone(at::MemoryFormat::Contiguous);
  int32_t* label = roots.data_ptr<int32_t>();
  for (int64_t i = 0; i < roots.numel(); ++i) {
    if (label[i] != no_unit) label[i] = sets_.root(label[i]);
  }
  return compressed(roots);
}

void Analysis::set_flow(ValueId value, const Flow& flow) {
  const Flow made = rooted(flow);
  if (made.defined()) {
    INCITE_ASSERT(made.dim() == rank(value));
    for (const int64_t axis : axes_of(made))
      INCITE_ASSERT(made.size(axis) == size(value, axis));
    if (is_single(made)) pin(made, PinReason::single);
  }
  flows_[at_index(value)] = made;
}

void Analysis::set_outputs(const Flow& flow) {
  for (const ValueId output : node_->outputs) {
    if (shape(output) == shape(node_->outputs[0])) set_flow(output, flow);
  }
}

void Analysis::pin_label(int32_t label, PinReason reason) {
  if (label != no_unit && !left_out(node_->op, "pin", reason)) pin_events_.push_back({id_, reason, label});
}

void Analysis::tie(int32_t a, int32_t b, PinReason reason) {
  if (left_out(node_->op, "tie", reason)) return;
  if (a == no_unit || b == no_unit) {
    pin_label(a, reason);
    pin_label(b, reason);
    return;
  }
  sets_.join(a, b);
}

void Analysis::tie(const Flow& a, const Flow& b, PinReason reason) {
  if (!a.defined() || !b.defined()) return;
  const std::vector<at::Tensor> both = at::broadcast_tensors({a, b});
  const at::Tensor left = both[0].contiguous();
  const at::Tensor right = both[1].contiguous();
  for (int64_t i = 0; i < left.numel(); ++i)
    tie(left.data_ptr<int32_t>()[i], right.data_ptr<int32_t>()[i], reason);
}

void Analysis::settle(ValueId value, int64_t axis) {
  const Flow& from = flow(value);
  if (!from.defined()) return;
  Flow first = from;
  for (int64_t other = 0; other < from.dim(); ++other) {
    if (other != axis) first = first.narrow(other, 0, 1);
  }
  tie(from, first, PinReason::axis);
  set_flow(value, first);
}

bool Analysis::settle_beside(ValueId value, const std::vector<int64_t>& avoid) {
  int64_t best = -1;
  size_t most = 0;
  for (const int64_t axis : axes_of(flow(value))) {
    if (std::find(avoid.begin(), avoid.end(), axis) != avoid.end()) continue;
    const size_t classes = classes_along(flow(value), axis);
    if (classes > most) {
      most = classes;
      best = axis;
    }
  }
  if (best < 0) return false;
  settle(value, best);
  return true;
}

void Analysis::pin(const Flow& flow, PinReason reason) {
  for (const int32_t label : labels_of(flow))
    pin_label(label, reason);
}

void Analysis::pin_inputs(PinReason reason) {
  for (size_t i = 0; i < node_->inputs.size(); ++i) {
    pin(input_flow(i), reason);
    if (const auto list = list_flows_.find(node_->inputs[i]); list != list_flows_.end()) {
      for (const Flow& element : list->second)
        pin(element, reason);
    }
    for (const Place& element : list_elements(i))
      pin(flow(value_at(element)), reason);
  }
}

// ---- What is cut ----------------------------------------------------------------------------------------------------

bool Analysis::can_bind(const Place& place) const {
  const ValueId value = value_at(place);
  return is_fixed(value) && !shape(value).empty();
}

bool Analysis::is_stored(const Place& place) const {
  return can_bind(place) && !program_.is_computed(value_at(place));
}

void Analysis::bind(const Place& place, int64_t dimension, const std::vector<int32_t>& labels) {
  if (left_out(node_->op, "bind")) return;
  const ValueId value = value_at(place);
  INCITE_ASSERT(can_bind(place));
  INCITE_ASSERT(static_cast<int64_t>(labels.size()) == size(value, dimension));
  if (is_stored(place)) {
    bindings_[value].push_back({place, dimension, labels});
  } else {
    map_.crops.push_back({place.node, place.input, dimension, labels});
  }
}

std::vector<int32_t> Analysis::add_layer(ValueId weight, int64_t weight_axis, ValueId bias, int64_t output_axis,
                                         int64_t channels) {
  Layer layer;
  layer.node = id_;
  layer.weight = weight;
  layer.weight_axis = weight_axis;
  layer.bias = bias;
  layer.output = node_->outputs[0];
  layer.output_axis = output_axis;
  const std::string& key = program_.value(weight).name;
  layer.name = key.ends_with(".weight") ? key.substr(0, key.size() - 7) : key.empty() ? node_->source : key;
  std::vector<int32_t> labels;
  for (int64_t channel = 0; channel < channels; ++channel) {
    labels.push_back(sets_.add());
    origin_.emplace_back(static_cast<int32_t>(map_.layers.size()), static_cast<int32_t>(channel));
  }
  map_.layers.push_back(std::move(layer));
  return labels;
}

// ---- Layout -------------------------------------------------------------------------------------------------------

/// Runs a node with `positions` for its first input: one tensor for each output, or for each element of its list; none
/// where the operation does not take whole numbers.
std::vector<at::Tensor> Analysis::run_on_positions(const at::Tensor& positions, const Node& node) const {
  std::vector<at::Tensor> moved;
  for (const at::ScalarType type : {positions.scalar_type(), at::kDouble}) {
    std::vector<c10::IValue> stack = {positions.to(type)};
    for (size_t i = 1; i < node.inputs.size(); ++i)
      stack.push_back(sample_.others[at_index(node.inputs[i])]);
    try {
      node.run(stack);
    } catch (const std::exception&) {
      continue;
    }
    for (const c10::IValue& output : stack) {
      if (output.isTensor()) moved.push_back(output.toTensor().to(positions.scalar_type()));
      if (!output.isTensorList()) continue;
      for (const at::Tensor& element : output.toTensorVector())
        moved.push_back(element.to(positions.scalar_type()));
    }
    break;
  }
  return moved;
}

void Analysis::move(const std::vector<int64_t>& sensitive, bool keeps_axis) {
  const Flow& from = input_flow(0);
  if (!from.defined()) return;
  const std::vector<at::Tensor> moved = run_on_positions(positions_of(from, input_shape(0)), *node_);
  if (moved.empty()) return pin_inputs(PinReason::unknown);
  const at::Tensor labels = from.flatten();
  std::vector<Flow> made;
  for (const at::Tensor& positions : moved) {
    const at::Tensor few = compressed(positions);
    made.push_back(few.defined() ? labels.index_select(0, few.flatten()).view(few.sizes()) : Flow());
  }
  layouts_[id_] = {node_->inputs[0], sensitive, keeps_axis};
  if (shape(node_->outputs[0]).empty()) {
    list_flows_[node_->outputs[0]] = std::move(made);
  } else {
    set_output(made[0]);
  }
}

void Analysis::unpack() {
  const auto list = list_flows_.find(node_->inputs[0]);
  if (list == list_flows_.end()) return;
  layouts_[id_] = layouts_.at(makers_.at(node_->inputs[0]));
  for (size_t i = 0; i < node_->outputs.size(); ++i)
    set_flow(node_->outputs[i], list->second[i]);
}

UnitMap analyse(const Program& program, const Sample& sample) {
  return Analysis(program, sample).run();
}

}  // namespace incite
