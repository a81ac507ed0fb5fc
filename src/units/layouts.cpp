// What happens at the end of the label analysis to labels that vary along several axes, and to operations that move
// elements in a way that a cut would break.

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.hpp"
#include "units/analysis.hpp"

namespace incite {
namespace {

bool meet(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return std::any_of(a.begin(), a.end(), [&](int64_t axis) { return std::find(b.begin(), b.end(), axis) != b.end(); });
}

}  // namespace

const Analysis::Layout* Analysis::layout_of(NodeId id) const {
  const auto found = layouts_.find(id);
  return found == layouts_.end() ? nullptr : &found->second;
}

/// The labels of a value by all the ties that are known now.
Flow Analysis::final_flow(ValueId value) {
  Flow& flow = flows_[at_index(value)];
  if (flow.defined()) flow = rooted(flow);
  return flow;
}

/// Ties until every value that is read by more than layout operations has labels along one axis, and every layout
/// operation is either right on a cut value or replaced by a selection of positions.
void Analysis::resolve_layouts() {
  for (bool changed = true; changed;) {
    changed = settle_what_is_touched();
    for (const auto& [id, layout] : layouts_)
      changed = resolve_layout(id, layout) || changed;
    if (!changed) continue;
    map_.rearrangements.clear();
    map_.indices.clear();
  }
}

/// Values with labels along several axes that something else than a layout operation makes or reads.
bool Analysis::settle_what_is_touched() {
  bool changed = false;
  const auto touch = [&](ValueId value) {
    if (axes_of(final_flow(value)).size() < 2) return;
    settle_beside(value, {});
    changed = true;
  };
  for (size_t n = 0; n < program_.nodes.size(); ++n) {
    id_ = static_cast<NodeId>(n);
    if (layout_of(id_) != nullptr) continue;
    for (const ValueId input : program_.nodes[n].inputs)
      touch(input);
    for (const ValueId output : program_.nodes[n].outputs)
      touch(output);
  }
  touch(program_.output);
  return changed;
}

/// Makes sure that a layout operation can be cut. True if that took a tie or a pin.
bool Analysis::resolve_layout(NodeId id, const Layout& layout) {
  const Flow from = final_flow(layout.input);
  const std::vector<int64_t> axes = axes_of(from);
  const bool plain = axes.size() <= 1 && !meet(axes, layout.sensitive);
  if ((plain && !layout.keeps_axis) || whole_.contains(id)) return false;
  for (const ValueId output : program_.node(id).outputs) {
    if (plain && (axes_of(final_flow(output)) == axes || axes.empty())) continue;
    // What varies along several axes is read by layout operations alone, a list by prim::ListUnpack: they are resolved
    // in its stead.
    if (axes_of(final_flow(output)).size() > 1 || list_flows_.contains(output)) continue;
    if (auto found = rearrangement(output)) {
      map_.rearrangements.push_back(std::move(*found));
      continue;
    }
    if (axes.size() == 1 && program_.node(id).op == "aten::select") {
      map_.indices.push_back({id, 2, layout.input});
      continue;
    }
    id_ = id;
    if (axes.size() > 1 && settle_beside(layout.input, layout.sensitive)) return true;
    if (axes.size() > 1 && settle_beside(layout.input, {})) return true;
    pin(from, PinReason::layout);
    whole_.insert(id);
    return true;
  }
  return false;
}

/// A value as positions along one axis of the last value before it whose labels vary along one axis, if that is what
/// the layout operations between them make of it.
std::optional<Rearrangement> Analysis::rearrangement(ValueId value) {
  std::vector<std::pair<NodeId, size_t>> chain;  // from the end: node, and which of its outputs
  ValueId source = value;
  do {
    NodeId maker = makers_.at(source);
    const Layout* layout = layout_of(maker);
    if (layout == nullptr) return std::nullopt;
    const auto& outputs = program_.node(maker).outputs;
    const auto which = static_cast<size_t>(std::find(outputs.begin(), outputs.end(), source) - outputs.begin());
    if (program_.node(maker).op == "prim::ListUnpack") maker = makers_.at(program_.node(maker).inputs[0]);
    chain.emplace_back(maker, which);
    source = layout->input;
  } while (axes_of(final_flow(source)).size() > 1);

  const std::vector<int64_t> axes = axes_of(final_flow(source));
  const std::vector<int64_t> own = axes_of(final_flow(value));  // none where it is of one unit, or of none
  if (axes.size() != 1 || (!own.empty() && own != axes) || rank(source) != rank(value)) return std::nullopt;
  Rearrangement made{value, source, axes[0], {}};
  if (sample_.batch_axis(source) == made.axis) return std::nullopt;

  int64_t elements = 1;
  for (const int64_t size : shape(source))
    elements *= size;
  const at::Tensor all = at::arange(elements, at::kInt).view(shape(source));
  at::Tensor moved = all;
  for (auto step = chain.rbegin(); step != chain.rend(); ++step) {
    const auto outputs = run_on_positions(moved, program_.node(step->first));
    if (step->second >= outputs.size()) return std::nullopt;
    moved = outputs[step->second].contiguous();
  }
  int64_t stride = 1;
  for (auto axis = static_cast<size_t>(made.axis) + 1; axis < shape(source).size(); ++axis)
    stride *= shape(source)[axis];
  at::Tensor line = moved;
  for (int64_t axis = moved.dim() - 1; axis >= 0; --axis) {
    if (axis != made.axis) line = line.select(axis, 0);
  }
  const at::Tensor index = line.to(at::kLong).floor_divide(stride).remainder(size(source, made.axis)).contiguous();
  const at::Tensor selected = all.index_select(made.axis, index);
  if (selected.sizes() != moved.sizes() || !selected.equal(moved)) return std::nullopt;
  made.positions.assign(index.data_ptr<int64_t>(), index.data_ptr<int64_t>() + index.numel());
  return made;
}

}  // namespace incite
