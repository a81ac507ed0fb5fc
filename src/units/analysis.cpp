#include "analysis.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "incite/base/error.hpp"

namespace incite {
namespace {

size_t at_index(int32_t i) {
  return static_cast<size_t>(i);
}

/// Positions along the one axis along which `positions` varies. No labels if it varies along none, several or the first
/// (the samples).
Labels compress(const at::Tensor& positions) {
  Labels labels;
  for (int64_t axis = 0; axis < positions.dim(); ++axis) {
    if (positions.size(axis) == 0) return {};
    const bool varies = !positions.equal(positions.narrow(axis, 0, 1).expand_as(positions));
    if (!varies) continue;
    if (axis == 0 || !labels.empty()) return {};
    labels.axis = axis;
  }
  if (labels.empty()) return {};
  at::Tensor line = positions;
  for (int64_t axis = positions.dim() - 1; axis >= 0; --axis) {
    if (axis != labels.axis) line = line.select(axis, 0);
  }
  line = line.contiguous();
  labels.units.assign(line.data_ptr<int32_t>(), line.data_ptr<int32_t>() + line.numel());
  return labels;
}

}  // namespace

Analysis::Analysis(const Program& program, const Sample& sample)
    : program_(program), sample_(sample), labels_(program.values.size()) {
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto id = static_cast<NodeId>(n);
    for (const ValueId output : program.nodes[n].outputs)
      makers_[output] = id;
    for (size_t i = 0; i < program.nodes[n].inputs.size(); ++i) {
      const ValueId input = program.nodes[n].inputs[i];
      if (program.is_parameter(input)) reads_[input].insert({id, i});
    }
  }
}

UnitMap Analysis::run() {
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    id_ = static_cast<NodeId>(n);
    node_ = &program_.nodes[n];
    if (!apply_rule(*this)) pin_inputs("unknown");
  }
  check_parameters();
  finish_outputs();
  build_units();
  build_groups();
  build_pins();
  return std::move(map_);
}

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
  return sample_.others[static_cast<size_t>(node_->inputs[i])];
}

void Analysis::set_labels(ValueId value, Labels labels) {
  if (!labels.empty()) {
    labels.rank = rank(value);
    INCITE_ASSERT(labels.axis < labels.rank);
    INCITE_ASSERT(static_cast<int64_t>(labels.units.size()) == shape(value)[static_cast<size_t>(labels.axis)]);
  }
  labels_[static_cast<size_t>(value)] = std::move(labels);
}

const std::vector<ValueId>& Analysis::list_elements(ValueId list) const {
  static const std::vector<ValueId> none;
  const auto maker = makers_.find(list);
  if (maker == makers_.end() || program_.node(maker->second).op != "prim::ListConstruct") return none;
  return program_.node(maker->second).inputs;
}

void Analysis::set_list_labels(ValueId list, std::vector<Labels> labels) {
  list_labels_[list] = std::move(labels);
}

const std::vector<Labels>* Analysis::list_labels(ValueId list) const {
  const auto found = list_labels_.find(list);
  return found == list_labels_.end() ? nullptr : &found->second;
}

int32_t Analysis::find(int32_t label) {
  while (parent_[at_index(label)] != label) {
    parent_[at_index(label)] = parent_[at_index(parent_[at_index(label)])];
    label = parent_[at_index(label)];
  }
  return label;
}

void Analysis::pin_label(int32_t label, const char* reason) {
  if (label != no_unit) pin_events_.push_back({id_, reason, label});
}

void Analysis::tie(int32_t a, int32_t b, const char* reason) {
  if (a == no_unit || b == no_unit) {
    pin_label(a, reason);
    pin_label(b, reason);
    return;
  }
  const int32_t x = find(a);
  const int32_t y = find(b);
  parent_[at_index(std::max(x, y))] = std::min(x, y);  // the root is the label that was made first
}

void Analysis::pin(const Labels& labels, const char* reason) {
  for (const int32_t unit : labels.units)
    pin_label(unit, reason);
}

void Analysis::pin_inputs(const char* reason) {
  for (const ValueId input : node_->inputs) {
    pin(labels(input), reason);
    if (const auto* list = list_labels(input)) {
      for (const Labels& element : *list)
        pin(element, reason);
    }
    for (const ValueId element : list_elements(input))
      pin(labels(element), reason);
  }
}

bool Analysis::can_bind(size_t i) const {
  const ValueId value = node_->inputs[i];
  return program_.is_parameter(value) || (program_.is_constant(value) && program_.value(value).content.isTensor());
}

void Analysis::bind(size_t i, int64_t dimension, const std::vector<int32_t>& units) {
  const ValueId value = node_->inputs[i];
  INCITE_ASSERT(can_bind(i));
  INCITE_ASSERT(static_cast<int64_t>(units.size()) == shape(value)[static_cast<size_t>(dimension)]);
  bindings_[value].push_back({id_, i, dimension, units});
}

Labels Analysis::add_layer(size_t weight_input, int64_t weight_axis, size_t bias_input, int64_t output_axis) {
  Layer layer;
  layer.node = id_;
  layer.weight = node_->inputs[weight_input];
  layer.weight_axis = weight_axis;
  if (has_input(bias_input)) layer.bias = node_->inputs[bias_input];
  layer.output = node_->outputs[0];
  layer.output_axis = output_axis;
  const std::string& key = program_.value(layer.weight).name;
  layer.name = key.ends_with(".weight") ? key.substr(0, key.size() - 7) : key;

  Labels made;
  made.axis = output_axis;
  const int64_t channels = shape(layer.output)[static_cast<size_t>(output_axis)];
  for (int64_t channel = 0; channel < channels; ++channel) {
    const auto label = static_cast<int32_t>(parent_.size());
    parent_.push_back(label);
    origin_.emplace_back(static_cast<int32_t>(map_.layers.size()), static_cast<int32_t>(channel));
    made.units.push_back(label);
  }
  map_.layers.push_back(std::move(layer));
  return made;
}

std::vector<Labels> Analysis::move_positions() {
  const ValueId input = node_->inputs[0];
  const Labels& from = labels(input);
  std::vector<int64_t> line(static_cast<size_t>(rank(input)), 1);
  line[static_cast<size_t>(from.axis)] = -1;
  const auto length = static_cast<int64_t>(from.units.size());
  at::Tensor positions = at::arange(length, at::kInt).view(line).expand(shape(input)).contiguous();

  std::vector<c10::IValue> stack;
  stack.emplace_back(positions);
  for (size_t i = 1; i < node_->inputs.size(); ++i)
    stack.push_back(constant(i));
  node_->run(stack);
  std::vector<Labels> moved;
  for (const c10::IValue& output : stack) {
    if (output.isTensor()) {
      moved.push_back(compress(output.toTensor()));
    } else if (output.isTensorList()) {
      for (const at::Tensor& element : output.toTensorVector())
        moved.push_back(compress(element));
    } else {
      moved.emplace_back();
    }
  }
  return moved;
}

/// A parameter that is read in several places must be cut alike in all of them, or not at all.
void Analysis::check_parameters() {
  map_.parameters.resize(program_.values.size());
  for (const auto& [value, bindings] : bindings_) {
    auto& cut = map_.parameters[static_cast<size_t>(value)];
    cut.resize(shape(value).size());
    for (const Binding& binding : bindings) {
      id_ = binding.node;
      auto& units = cut[static_cast<size_t>(binding.dimension)];
      if (units.empty()) units = binding.units;
      for (size_t i = 0; i < units.size(); ++i) {
        if (units[i] != binding.units[i]) tie(units[i], binding.units[i], "shared");
      }
    }
    for (size_t dimension = 0; dimension < cut.size(); ++dimension) {
      if (cut[dimension].empty()) continue;
      for (const auto& [node, input] : reads_[value]) {
        const bool bound = std::any_of(bindings.begin(), bindings.end(), [&](const Binding& binding) {
          return binding.node == node && binding.input == input && binding.dimension == static_cast<int64_t>(dimension);
        });
        id_ = node;
        if (!bound) {
          for (const int32_t unit : cut[dimension])
            pin_label(unit, "shared");
        }
      }
    }
  }
}

void Analysis::finish_outputs() {
  const Labels& output = labels(program_.output);
  if (output.empty() || output.axis != 1) {
    id_ = makers_.at(program_.output);
    pin(output, "output");
    return;
  }
  id_ = -1;
  pin(output, "output");
  const int32_t first = output.units[0];
  if (first == no_unit) return;
  const int32_t layer = origin_[at_index(first)].first;
  for (size_t i = 0; i < output.units.size(); ++i) {
    const int32_t label = output.units[i];
    if (label == no_unit || origin_[at_index(label)] != std::pair(layer, static_cast<int32_t>(i))) return;
  }
  if (output.units.size() ==
      static_cast<size_t>(
          shape(map_.layers[at_index(layer)].output)[static_cast<size_t>(map_.layers[at_index(layer)].output_axis)])) {
    map_.head = layer;
  }
}

void Analysis::build_units() {
  std::vector<int32_t> unit_of_root(parent_.size(), no_unit);
  std::vector<int32_t> unit_of(parent_.size(), no_unit);
  for (size_t label = 0; label < parent_.size(); ++label) {
    int32_t& unit = unit_of_root[at_index(find(static_cast<int32_t>(label)))];
    if (unit == no_unit) {
      unit = static_cast<int32_t>(map_.units.size());
      map_.units.emplace_back();
    }
    unit_of[label] = unit;
    const auto [layer, channel] = origin_[label];
    map_.units[at_index(unit)].members.push_back({layer, channel});
    map_.layers[at_index(layer)].units.push_back(unit);
  }
  const auto resolve = [&](std::vector<int32_t>& labels) {
    for (int32_t& label : labels)
      label = label == no_unit ? no_unit : unit_of[at_index(label)];
  };
  for (Labels& labels : labels_)
    resolve(labels.units);
  map_.activations = std::move(labels_);
  for (auto& dimensions : map_.parameters) {
    for (auto& units : dimensions)
      resolve(units);
  }
  for (PinEvent& event : pin_events_) {
    event.label = unit_of[at_index(event.label)];
    map_.units[at_index(event.label)].pinned = true;
  }
}

void Analysis::build_groups() {
  std::vector<int32_t> parent(map_.layers.size());  // union-find over layers that share a unit
  std::iota(parent.begin(), parent.end(), 0);
  const auto root = [&](int32_t layer) {
    while (parent[at_index(layer)] != layer)
      layer = parent[at_index(layer)] = parent[at_index(parent[at_index(layer)])];
    return layer;
  };
  for (const Unit& unit : map_.units) {
    for (const Unit::Member& member : unit.members) {
      const int32_t a = root(unit.members[0].layer);
      const int32_t b = root(member.layer);
      parent[at_index(std::max(a, b))] = std::min(a, b);
    }
  }
  std::map<int32_t, int32_t> group_of;
  for (size_t layer = 0; layer < map_.layers.size(); ++layer) {
    const int32_t top = root(static_cast<int32_t>(layer));
    if (!group_of.contains(top)) {
      group_of[top] = static_cast<int32_t>(map_.groups.size());
      map_.groups.emplace_back();
    }
    map_.groups[at_index(group_of[top])].layers.push_back(static_cast<int32_t>(layer));
  }
  for (size_t u = 0; u < map_.units.size(); ++u) {
    Unit& unit = map_.units[u];
    unit.group = group_of[root(unit.members[0].layer)];
    map_.groups[at_index(unit.group)].units.push_back(static_cast<int32_t>(u));
  }
  for (Group& group : map_.groups) {
    group.pinned = std::all_of(group.units.begin(), group.units.end(),
                               [&](int32_t unit) { return map_.units[at_index(unit)].pinned; });
  }
}

void Analysis::build_pins() {
  std::map<std::tuple<NodeId, std::string>, std::set<int32_t>> pins;
  for (const PinEvent& event : pin_events_)
    pins[{event.node, event.reason}].insert(event.label);
  for (const auto& [where, units] : pins) {
    Pin pin;
    pin.node = std::get<0>(where);
    pin.reason = std::get<1>(where);
    if (pin.node >= 0) {
      pin.op = program_.node(pin.node).op;
      pin.source = program_.node(pin.node).source;
    }
    pin.units.assign(units.begin(), units.end());
    map_.pins.push_back(std::move(pin));
  }
}

int64_t UnitMap::removable_units() const {
  return std::count_if(units.begin(), units.end(), [](const Unit& unit) { return !unit.pinned; });
}

int64_t UnitMap::pinned_units(const Group& group) const {
  return std::count_if(group.units.begin(), group.units.end(),
                       [&](int32_t unit) { return units[at_index(unit)].pinned; });
}

std::vector<int32_t> empty_layers(const UnitMap& map, const Selection& keep) {
  std::vector<int32_t> empty;
  for (size_t l = 0; l < map.layers.size(); ++l) {
    const auto& units = map.layers[l].units;
    if (std::none_of(units.begin(), units.end(), [&](int32_t unit) { return keep[at_index(unit)]; })) {
      empty.push_back(static_cast<int32_t>(l));
    }
  }
  return empty;
}

UnitMap analyse(const Program& program, const Sample& sample) {
  return Analysis(program, sample).run();
}

}  // namespace incite
