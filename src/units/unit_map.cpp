// The end of the label analysis: labels become units, layers become groups, and what is known of them a UnitMap.

#include "units/unit_map.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/fail.hpp"
#include "units/analysis.hpp"

namespace incite {
/// Sizes that count positions along a labelled axis; the others stay as they are.
void Analysis::resolve_sizes() {
  for (const SizeArgument& size : sizes_) {
    const std::vector<int64_t> axes = axes_of(final_flow(size.value));
    if (axes.size() != 1) continue;
    SizeArgument counted = size;
    if (size.element >= 0) {
      // Here `element` is the axis that the list's first size is for: a view's is 0, that of unflatten is not.
      counted.element = axes[0] - size.element;
      const auto sizes = sample_.others[at_index(program_.node(size.node).inputs[size.input])].toIntVector();
      if (counted.element < 0 || counted.element >= static_cast<int64_t>(sizes.size()) ||
          sizes[static_cast<size_t>(counted.element)] < 0)
        continue;
    }
    map_.sizes.push_back(counted);
  }
}

/// A parameter that is read in several places must be cut alike in all of them, or not at all.
void Analysis::check_parameters() {
  map_.parameters.resize(program_.values.size());
  for (const auto& [value, bindings] : bindings_)
    check_parameter(value);
}

void Analysis::check_parameter(ValueId value) {
  const auto& bindings = bindings_.at(value);
  auto& cut = map_.parameters[at_index(value)];
  cut.resize(shape(value).size());
  for (const Binding& binding : bindings) {
    id_ = binding.place.node;
    auto& units = cut[static_cast<size_t>(binding.dimension)];
    if (units.empty()) units = binding.labels;
    for (size_t i = 0; i < units.size(); ++i) {
      if (units[i] != binding.labels[i]) tie(units[i], binding.labels[i], PinReason::shared);
    }
  }
  for (size_t dimension = 0; dimension < cut.size(); ++dimension) {
    if (cut[dimension].empty()) continue;
    for (const Place& place : reads_[value]) {
      const bool bound = std::any_of(bindings.begin(), bindings.end(), [&](const Binding& binding) {
        return binding.place == place && binding.dimension == static_cast<int64_t>(dimension);
      });
      id_ = place.node;
      if (bound) continue;
      for (const int32_t unit : cut[dimension])
        pin_label(unit, PinReason::shared);
    }
  }
}

void Analysis::finish_outputs() {
  const Flow output = final_flow(program_.output);
  const std::vector<int64_t> axes = axes_of(output);
  id_ = -1;
  pin(output, PinReason::output);
  const bool one_output = axes.empty() && output.defined() && shape(program_.output)[1] == 1;
  if (!one_output && axes != std::vector<int64_t>{1}) return;
  // The layer nearest to the output whose channels are the outputs, in order.
  const std::vector<int32_t> labels = labels_of(output);
  for (size_t first = 0; first + labels.size() <= origin_.size(); first += channels_of(origin_[first].first)) {
    const int32_t layer = origin_[first].first;
    if (channels_of(layer) != labels.size()) continue;
    bool same = true;
    for (size_t i = 0; i < labels.size() && same; ++i)
      same = labels[i] != no_unit && sets_.root(static_cast<int32_t>(first + i)) == labels[i];
    if (same) map_.head = layer;
  }
}

size_t Analysis::channels_of(int32_t layer) const {
  const Layer& made = map_.layer(layer);
  return static_cast<size_t>(size(made.output, made.output_axis));
}

void Analysis::build_units() {
  std::vector<int32_t> unit_of_root(origin_.size(), no_unit);
  std::vector<int32_t> unit_of(origin_.size(), no_unit);
  for (size_t label = 0; label < origin_.size(); ++label) {
    int32_t& unit = unit_of_root[at_index(sets_.root(static_cast<int32_t>(label)))];
    if (unit == no_unit) {
      unit = static_cast<int32_t>(map_.units.size());
      map_.units.emplace_back();
    }
    unit_of[label] = unit;
    const auto [layer, channel] = origin_[label];
    map_.unit(unit).members.push_back({layer, channel});
    map_.layer(layer).units.push_back(unit);
  }
  build_labels(unit_of);
  for (PinEvent& event : pin_events_) {
    event.label = unit_of[at_index(event.label)];
    map_.unit(event.label).pinned = true;
  }
}

/// Puts units in the place of labels, in all that the map says.
void Analysis::build_labels(const std::vector<int32_t>& unit_of) {
  const auto resolve = [&](std::vector<int32_t>& labels) {
    for (int32_t& label : labels)
      label = label == no_unit ? no_unit : unit_of[at_index(label)];
  };
  map_.activations.resize(program_.values.size());
  for (size_t value = 0; value < flows_.size(); ++value) {
    const Flow flow = final_flow(static_cast<ValueId>(value));
    const std::vector<int64_t> axes = axes_of(flow);
    if (axes.size() != 1) continue;  // none, one that is pinned, or inside of a rearrangement
    Labels& labels = map_.activations[value];
    labels.axis = axes[0];
    labels.rank = flow.dim();
    labels.units = labels_of(flow);
    resolve(labels.units);
  }
  for (auto& dimensions : map_.parameters) {
    for (auto& units : dimensions)
      resolve(units);
  }
  for (Crop& crop : map_.crops)
    resolve(crop.units);
  for (Feedback& feedback : map_.feedbacks)
    resolve(feedback.units);
}

void Analysis::build_groups() {
  DisjointSets sets(map_.layers.size());  // of layers that share a unit
  for (const Unit& unit : map_.units) {
    for (const Unit::Member& member : unit.members)
      sets.join(unit.members[0].layer, member.layer);
  }
  std::map<int32_t, int32_t> group_of;
  for (size_t layer = 0; layer < map_.layers.size(); ++layer) {
    const int32_t top = sets.root(static_cast<int32_t>(layer));
    if (!group_of.contains(top)) {
      group_of[top] = static_cast<int32_t>(map_.groups.size());
      map_.groups.emplace_back();
    }
    map_.group(group_of[top]).layers.push_back(static_cast<int32_t>(layer));
  }
  for (size_t u = 0; u < map_.units.size(); ++u) {
    Unit& unit = map_.units[u];
    unit.group = group_of[sets.root(unit.members[0].layer)];
    map_.group(unit.group).units.push_back(static_cast<int32_t>(u));
  }
  for (Group& group : map_.groups) {
    group.pinned =
        std::all_of(group.units.begin(), group.units.end(), [&](int32_t unit) { return map_.unit(unit).pinned; });
  }
}

/// A value or a parameter of size 0 along its labelled axis is no network any more.
void Analysis::build_spans() {
  std::set<std::vector<int32_t>> spans;
  const auto add = [&](std::vector<int32_t> units) {
    if (units.empty()) return;
    std::sort(units.begin(), units.end());
    units.erase(std::unique(units.begin(), units.end()), units.end());
    const bool safe =
        std::any_of(units.begin(), units.end(), [&](int32_t u) { return u == no_unit || map_.unit(u).pinned; });
    if (!safe) spans.insert(std::move(units));
  };
  for (const Layer& layer : map_.layers)
    add(layer.units);
  for (const Labels& labels : map_.activations)
    add(labels.units);
  for (const auto& dimensions : map_.parameters) {
    for (const auto& units : dimensions)
      add(units);
  }
  for (const Crop& crop : map_.crops)
    add(crop.units);
  map_.spans.assign(spans.begin(), spans.end());
}

void Analysis::build_pins() {
  std::map<std::pair<NodeId, PinReason>, std::set<int32_t>> pins;
  for (const PinEvent& event : pin_events_)
    pins[{event.node, event.reason}].insert(event.label);
  for (const auto& [where, units] : pins) {
    Pin pin;
    pin.node = where.first;
    pin.reason = where.second;
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

std::vector<size_t> empty_spans(const UnitMap& map, const Selection& keep) {
  std::vector<size_t> empty;
  for (size_t s = 0; s < map.spans.size(); ++s) {
    if (std::none_of(map.spans[s].begin(), map.spans[s].end(), [&](int32_t unit) { return keep[at_index(unit)]; })) {
      empty.push_back(s);
    }
  }
  return empty;
}

}  // namespace incite
