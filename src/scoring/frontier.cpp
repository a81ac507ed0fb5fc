#include "scoring/frontier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "program/convolution.hpp"
#include "program/recurrent.hpp"

namespace incite {
namespace {

/// Whether an operation only moves elements, or puts tensors together.
bool moves_elements(const std::string& op) {
  static const std::set<std::string> operations = {"aten::view",
                                                   "aten::reshape",
                                                   "aten::flatten",
                                                   "aten::unflatten",
                                                   "aten::squeeze",
                                                   "aten::unsqueeze",
                                                   "aten::permute",
                                                   "aten::transpose",
                                                   "aten::t",
                                                   "aten::numpy_T",
                                                   "aten::movedim",
                                                   "aten::moveaxis",
                                                   "aten::swapaxes",
                                                   "aten::swapdims",
                                                   "aten::contiguous",
                                                   "aten::clone",
                                                   "aten::expand",
                                                   "aten::repeat",
                                                   "aten::tile",
                                                   "aten::repeat_interleave",
                                                   "aten::roll",
                                                   "aten::flip",
                                                   "aten::cat",
                                                   "aten::concat",
                                                   "aten::concatenate",
                                                   "aten::stack",
                                                   "aten::slice",
                                                   "aten::select",
                                                   "aten::narrow",
                                                   "aten::index_select",
                                                   "aten::chunk",
                                                   "aten::split",
                                                   "aten::tensor_split",
                                                   "aten::unbind",
                                                   "aten::alias",
                                                   "aten::split_with_sizes",
                                                   "aten::pixel_shuffle",
                                                   "aten::slice_scatter",
                                                   "prim::ListUnpack",
                                                   "prim::ListConstruct",
                                                   "aten::pixel_unshuffle",
                                                   "aten::select_scatter",
                                                   "prim::TupleConstruct"};
  return operations.contains(op);
}

/// Operations whose gradient is 0 or missing although their result depends on what they read.
bool hides_gradients(const std::string& op) {
  static const std::set<std::string> operations = {"aten::round",        "aten::floor",  "aten::ceil",  "aten::sign",
                                                   "aten::floor_divide", "aten::argmax", "aten::argmin"};
  return operations.contains(op);
}

bool is_of_tensors(const c10::Type& type) {
  if (type.kind() == c10::TypeKind::TensorType) return true;
  const auto inside = type.containedTypes();
  return std::any_of(inside.begin(), inside.end(), [](const c10::TypePtr& each) { return is_of_tensors(*each); });
}

class FrontierFinder {
 public:
  FrontierFinder(const Program& program, const UnitMap& map, const Sample& sample, const std::vector<bool>& mutated)
      : program_(program),
        map_(map),
        sample_(sample),
        mutated_(mutated),
        labels_(map.activations),
        ends_(program.values.size(), false),
        known_(program.values.size(), false),
        depends_(program.values.size(), false),
        consumers_(program.values.size()),
        could_pass_(program.nodes.size(), false) {
    frontier_.layers.resize(program.nodes.size());
    frontier_.passes.assign(program.nodes.size(), false);
  }

  Frontier run() {
    find_layers();
    for (size_t n = 0; n < program_.nodes.size(); ++n) {
      for (const ValueId input : program_.nodes[n].inputs)
        consumers_[at_index(input)].push_back(static_cast<NodeId>(n));
    }
    for (size_t n = program_.nodes.size(); n-- > 0;)
      could_pass_[n] = can_pass(static_cast<NodeId>(n));
    for (size_t n = 0; n < program_.nodes.size(); ++n)
      follow(static_cast<NodeId>(n));
    if (known(program_.output)) add_place(program_.output);
    leave_out_what_leads_nowhere();
    return std::move(frontier_);
  }

 private:
  const Node& node(NodeId id) const { return program_.node(id); }
  const Labels& labels(ValueId value) const { return labels_[at_index(value)]; }
  bool known(ValueId value) const { return known_[at_index(value)]; }
  bool holds_tensors(ValueId value) const { return is_of_tensors(*program_.value(value).type); }
  bool makes_tensors(NodeId id) const {
    const auto& outputs = node(id).outputs;
    return std::any_of(outputs.begin(), outputs.end(), [&](ValueId output) { return holds_tensors(output); });
  }
  const std::vector<Frontier::Place>& layers_at(NodeId id) const { return frontier_.layers[at_index(id)]; }

  // ---- Layers -----------------------------------------------------------------------------------------------------

  void find_layers() {
    for (const Layer& layer : map_.layers) {
      add_layer(layer.node, layer.output, layer.output_axis, layer.units);
      add_own_place(layer);
      for (const ValueId state : layer.states) {
        const Labels& of_state = map_.labels(state);
        if (!of_state.empty()) add_layer(layer.node, state, of_state.axis, of_state.units);
      }
    }
  }

  void add_layer(NodeId id, ValueId value, int64_t axis, const std::vector<int32_t>& units) {
    if (std::none_of(units.begin(), units.end(), [&](int32_t unit) { return is_mutated(unit); })) return;
    auto& of_node = frontier_.layers[at_index(id)];
    const auto same = std::find_if(of_node.begin(), of_node.end(), [&](const auto& p) { return p.value == value; });
    if (same != of_node.end()) {
      if (same->axis != axis || same->units != units) obstruct(id, "makes units of several layers in one place");
      return;
    }
    of_node.push_back({value, axis, sample_.batch_axis(value), units});
    Labels& own = labels_[at_index(value)];
    if (own.axis == axis && own.units == units) return;
    own = {axis, static_cast<int64_t>(sample_.shape(value).size()), units};
    ends_[at_index(value)] = true;
  }

  void add_own_place(const Layer& layer) {
    if (!recurrent_of(program_, node(layer.node))) return;
    if (std::none_of(layer.units.begin(), layer.units.end(), [&](int32_t unit) { return is_mutated(unit); })) return;
    frontier_.places.push_back(
        {layer.output, layer.output_axis, sample_.batch_axis(layer.output), layer.units, /*own=*/true});
  }

  bool is_mutated(int32_t unit) const { return unit != no_unit && mutated_[at_index(unit)]; }

  void obstruct(NodeId id, const std::string& why) {
    if (frontier_.obstacle.empty()) frontier_.obstacle = fmt::format("{} at {} {}", node(id).op, node(id).source, why);
  }

  // ---- Nodes that pass changes on -----------------------------------------------------------------------------------

  /// Whether a node's outputs are known, position by position, where its inputs are. What moves elements may make
  /// values without labels along one axis, as in a channel shuffle, if nothing but its like reads them.
  bool can_pass(NodeId id) const {
    if (!layers_at(id).empty() && !is_depthwise(id)) return false;
    const auto& inputs = node(id).inputs;
    if (std::any_of(inputs.begin(), inputs.end(), [&](ValueId v) { return ends_[at_index(v)]; })) return false;
    if (!works_by_position(id)) return false;
    const auto& outputs = node(id).outputs;
    return std::all_of(outputs.begin(), outputs.end(), [&](ValueId output) {
      if (!holds_tensors(output) || !labels(output).empty()) return true;
      const auto& readers = consumers_[at_index(output)];
      return output != program_.output &&
             std::all_of(readers.begin(), readers.end(), [&](NodeId n) { return could_pass_[at_index(n)]; });
    });
  }

  bool works_by_position(NodeId id) const {
    if (moves_elements(node(id).op)) return true;
    if (is_depthwise(id)) return true;
    switch (map_.localities[at_index(id)]) {
      case Locality::elementwise:
        return is_aligned(id);
      case Locality::per_channel:
      case Locality::one_input:
        return reads_at_first_only(id) && has_units_of(node(id).outputs[0], node(id).inputs[0]);
      case Locality::mixing:
        return false;
    }
    return false;
  }

  bool has_units_of(ValueId value, ValueId other) const {
    return !labels(value).empty() && labels(value).units == labels(other).units;
  }

  bool reads_at_first_only(NodeId id) const {
    const auto& inputs = node(id).inputs;
    return std::all_of(inputs.begin() + 1, inputs.end(), [&](ValueId v) { return labels(v).empty(); });
  }

  /// Whether all labelled operands have the output's labels, along the axis that meets the output's.
  bool is_aligned(NodeId id) const {
    const ValueId output = node(id).outputs[0];
    const auto from_end = [&](ValueId v) { return static_cast<int64_t>(sample_.shape(v).size()) - labels(v).axis; };
    const auto& inputs = node(id).inputs;
    return !labels(output).empty() && std::all_of(inputs.begin(), inputs.end(), [&](ValueId v) {
      return labels(v).empty() || (has_units_of(v, output) && from_end(v) == from_end(output));
    });
  }

  /// A convolution with a filter of its own for each channel.
  bool is_depthwise(NodeId id) const {
    const auto convolution = convolution_of(
        node(id), [&](size_t input) -> const c10::IValue& { return sample_.others[at_index(node(id).inputs[input])]; });
    if (!convolution || convolution->transposed) return false;
    const ValueId input = node(id).inputs[0], output = node(id).outputs[0];
    const std::vector<int64_t>& weight = sample_.shape(node(id).inputs[1]);
    return weight.size() > 2 && weight[1] == 1 && weight[0] > 1 && labels(input).axis == 1 &&
           labels(output).axis == 1 && has_units_of(output, input) &&
           weight[0] == static_cast<int64_t>(labels(output).units.size()) && reads_at_first_only(id);
  }

  // ---- What is known ------------------------------------------------------------------------------------------------

  void follow(NodeId id) {
    const auto& inputs = node(id).inputs;
    const bool reads = std::any_of(inputs.begin(), inputs.end(), [&](ValueId v) { return known(v); });
    const bool depends = std::any_of(inputs.begin(), inputs.end(), [&](ValueId v) { return depends_[at_index(v)]; });
    if (depends && makes_tensors(id) && hides_gradients(node(id).op)) obstruct(id, "has no gradient of use");
    for (const ValueId output : node(id).outputs)
      depends_[at_index(output)] = depends || !layers_at(id).empty();
    if (reads && makes_tensors(id)) {
      if (could_pass_[at_index(id)]) {
        frontier_.passes[at_index(id)] = true;
        for (const ValueId output : node(id).outputs)
          known_[at_index(output)] = holds_tensors(output);
      } else {
        for (const ValueId input : inputs) {
          if (known(input)) add_place(input);
        }
      }
    }
    for (const Frontier::Place& layer : layers_at(id))
      known_[at_index(layer.value)] = true;
  }

  void add_place(ValueId value) {
    const auto found = std::find_if(frontier_.places.begin(), frontier_.places.end(),
                                    [&](const Frontier::Place& place) { return !place.own && place.value == value; });
    if (found != frontier_.places.end()) return;
    const Labels& own = labels(value);
    const int64_t batch_axis = sample_.batch_axis(value);
    if (own.empty() || batch_axis < 0 || batch_axis == own.axis)
      return obstruct(program_.maker(value), "has units along the axis of the samples");
    frontier_.places.push_back({value, own.axis, batch_axis, own.units});
  }

  /// Nodes whose values reach no place need not run on changed values.
  void leave_out_what_leads_nowhere() {
    std::vector<bool> wanted(program_.values.size(), false);
    for (const Frontier::Place& place : frontier_.places)
      wanted[at_index(place.value)] = !place.own || wanted[at_index(place.value)];
    for (size_t n = program_.nodes.size(); n-- > 0;) {
      const auto& outputs = program_.nodes[n].outputs;
      const bool leads = std::any_of(outputs.begin(), outputs.end(), [&](ValueId v) { return wanted[at_index(v)]; });
      if (!leads) frontier_.passes[n] = false;
      if (!frontier_.passes[n]) continue;
      for (const ValueId input : program_.nodes[n].inputs)
        wanted[at_index(input)] = true;
    }
  }

  const Program& program_;
  const UnitMap& map_;
  const Sample& sample_;
  const std::vector<bool>& mutated_;
  std::vector<Labels> labels_;                  // by value
  std::vector<bool> ends_;                      // by value: nothing passes its changes on
  std::vector<bool> known_;                     // by value
  std::vector<bool> depends_;                   // by value: on what some mutant changes
  std::vector<std::vector<NodeId>> consumers_;  // by value
  std::vector<bool> could_pass_;                // by node
  Frontier frontier_;
};

}  // namespace

Frontier find_frontier(const Program& program, const UnitMap& map, const Sample& sample,
                       const std::vector<bool>& mutated) {
  return FrontierFinder(program, map, sample, mutated).run();
}

}  // namespace incite
