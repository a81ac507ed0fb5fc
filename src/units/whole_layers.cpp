// The end of the label analysis: trained weights that no cut touches, and why.

#include <algorithm>
#include <string>

#include "units/analysis.hpp"
#include "units/rules.hpp"

namespace incite {
namespace {

/// "encoder.norm1" of "encoder.norm1.weight": what a reader takes for the layer.
std::string layer_name(const std::string& key) {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? key : key.substr(0, dot);
}

}  // namespace

/// The first operation on the input that a fixed value goes into, through what is computed of parameters alone; -1
/// where there is none.
Analysis::FixedUse Analysis::first_use(ValueId fixed) const {
  std::set<ValueId> same = {fixed};
  FixedUse use;
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    const Node& node = program_.nodes[n];
    if (std::none_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) { return same.contains(input); }))
      continue;
    const bool list = node.op == "prim::ListConstruct" || node.op == "prim::TupleConstruct";
    const bool passes =
        list || std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return is_fixed(v); });
    if (passes) {
      use.computed = use.computed || !list;
      same.insert(node.outputs.begin(), node.outputs.end());
      continue;
    }
    if (use.node < 0) use.node = static_cast<NodeId>(n);
    ++use.places;
  }
  return use;
}

bool Analysis::is_cut(ValueId parameter) const {
  const auto& dimensions = map_.parameters[at_index(parameter)];
  if (std::any_of(dimensions.begin(), dimensions.end(), [](const auto& units) { return !units.empty(); })) return true;
  return std::any_of(map_.layers.begin(), map_.layers.end(),
                     [&](const Layer& layer) { return layer.weight == parameter || layer.bias == parameter; });
}

PinReason Analysis::reason_of_whole(const FixedUse& use) const {
  const auto pin = std::find_if(map_.pins.begin(), map_.pins.end(), [&](const Pin& p) { return p.node == use.node; });
  if (pin != map_.pins.end()) return pin->reason;
  if (!has_rule(program_.node(use.node).op)) return PinReason::unknown;
  return use.computed ? PinReason::computed : PinReason::none;
}

void Analysis::find_whole_layers() {
  for (size_t v = 0; v < program_.values.size(); ++v) {
    const auto id = static_cast<ValueId>(v);
    const Value& value = program_.value(id);
    if (value.kind != Value::Kind::parameter || value.is_buffer || !value.content.isTensor() || is_cut(id)) continue;
    const FixedUse use = first_use(id);
    if (use.node < 0) continue;
    const Node& node = program_.node(use.node);
    WholeLayer layer{layer_name(value.name), use.node, node.op, node.source, reason_of_whole(use), use.places, {}};
    const auto same = std::find_if(map_.whole_layers.begin(), map_.whole_layers.end(), [&](const WholeLayer& other) {
      return other.name == layer.name && other.node == layer.node && other.reason == layer.reason;
    });
    WholeLayer& entry = same != map_.whole_layers.end() ? *same : map_.whole_layers.emplace_back(std::move(layer));
    entry.parameters.push_back(id);
  }
  std::stable_sort(map_.whole_layers.begin(), map_.whole_layers.end(),
                   [](const WholeLayer& a, const WholeLayer& b) { return a.node < b.node; });
}

}  // namespace incite
