#include "scoring/suffix_plan.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include "base/fail.hpp"
#include "program/convolution.hpp"
#include "program/cost.hpp"
#include "program/recurrent.hpp"

namespace incite {
namespace {

using Step = SuffixPlan::Step;
using Kind = SuffixPlan::Step::Kind;

int64_t product_of(const std::vector<int64_t>& sizes, size_t first, size_t last) {
  return std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(first),
                         sizes.begin() + static_cast<std::ptrdiff_t>(last), int64_t{1}, std::multiplies<>());
}

bool holds_tensors(const c10::Type& type) {
  if (type.kind() == c10::TypeKind::TensorType) return true;
  const auto inside = type.containedTypes();
  return std::any_of(inside.begin(), inside.end(), [](const c10::TypePtr& each) { return holds_tensors(*each); });
}

class Planner {
 public:
  Planner(const Program& program, const UnitMap& map, int32_t group, const Sample& sample,
          const std::vector<int64_t>& unit_clusters)
      : program_(program),
        map_(map),
        group_(map.group(group)),
        sample_(sample),
        unit_clusters_(unit_clusters),
        makers_(program.values.size(), -1),
        changed_(program.values.size(), false),
        narrow_(program.values.size(), none),
        whole_(program.values.size(), false),
        steps_(program.nodes.size()) {}

  SuffixPlan run() {
    note_shapes();
    std::set<NodeId> producers;
    for (const int32_t l : group_.layers)
      producers.insert(map_.layer(l).node);
    for (size_t n = 0; n < program_.nodes.size(); ++n) {
      const auto id = static_cast<NodeId>(n);
      for (const ValueId output : program_.nodes[n].outputs)
        makers_[at_index(output)] = id;
      if (changes(id)) {
        plan_node(id);
      } else if (producers.contains(id)) {
        plan_seed(id);
      }
    }
    plan_.output = program_.output;
    make_whole(program_.output, static_cast<NodeId>(program_.nodes.size()) - 1, false);
    for (std::vector<Step>& of_node : steps_) {
      for (Step& step : of_node)
        plan_.steps.push_back(std::move(step));
    }
    plan_.saved.assign(saved_.begin(), saved_.end());
    note_deaths();
    count_bytes();
    for (const Step& step : plan_.steps)
      plan_.multiply_adds += multiply_adds(step);
    return std::move(plan_);
  }

 private:
  static constexpr size_t none = static_cast<size_t>(-1);

  void note_shapes() {
    plan_.shapes.resize(program_.values.size());
    for (size_t v = 0; v < plan_.shapes.size(); ++v) {
      plan_.shapes[v] = {sample_.shapes[v], sample_.batch_axes[v]};
      const int64_t axis = sample_.batch_axes[v];
      if (axis >= 0) plan_.shapes[v].sizes[static_cast<size_t>(axis)] /= 2;
    }
  }

  const Labels& labels(ValueId value) const { return map_.labels(value); }
  const std::vector<int64_t>& sizes(ValueId value) const { return plan_.shapes[at_index(value)].sizes; }
  int64_t batch_axis(ValueId value) const { return plan_.shapes[at_index(value)].batch_axis; }
  bool is_fixed(ValueId value) const { return program_.is_constant(value) || program_.is_parameter(value); }
  bool is_tensor(ValueId value) const { return !sizes(value).empty(); }
  bool changed(ValueId value) const { return changed_[at_index(value)]; }
  bool is_narrow(ValueId value) const { return narrow_[at_index(value)] != none; }
  Step& emit(NodeId node, Kind kind) {
    Step& step = steps_[at_index(node)].emplace_back();
    step.kind = kind;
    step.node = node;
    if (!program_.node(node).outputs.empty()) step.value = program_.node(node).outputs[0];
    return step;
  }

  /// Whether a node reads something that mutants change. What asks for shapes alone makes no change.
  bool changes(NodeId id) const {
    const Node& node = program_.node(id);
    const bool reads = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return changed(v); });
    return reads && std::any_of(node.outputs.begin(), node.outputs.end(),
                                [&](ValueId v) { return holds_tensors(*program_.value(v).type); });
  }

  // ---- Slot sets --------------------------------------------------------------------------------------------------

  size_t set_of(const std::vector<int32_t>& units) {
    for (size_t s = 0; s < plan_.sets.size(); ++s) {
      if (plan_.sets[s].parent < 0 && plan_.sets[s].units == units) return s;
    }
    SuffixPlan::SlotSet set;
    set.units = units;
    std::map<int64_t, int64_t> counts;
    for (const int32_t unit : units) {
      if (unit == no_unit || unit_clusters_[at_index(unit)] < 0) continue;
      set.widest = std::max(set.widest, ++counts[unit_clusters_[at_index(unit)]]);
    }
    for (const auto& [cluster, count] : counts)
      set.mean += static_cast<double>(count) / static_cast<double>(counts.size());
    plan_.sets.push_back(std::move(set));
    return plan_.sets.size() - 1;
  }

  size_t repeated(size_t parent, int64_t ratio) {
    if (ratio == 1) return parent;
    SuffixPlan::SlotSet set;
    set.parent = static_cast<int64_t>(parent);
    set.ratio = ratio;
    for (const int32_t unit : plan_.sets[parent].units)
      set.units.insert(set.units.end(), static_cast<size_t>(ratio), unit);
    set.widest = plan_.sets[parent].widest * ratio;
    set.mean = plan_.sets[parent].mean * static_cast<double>(ratio);
    plan_.sets.push_back(std::move(set));
    return plan_.sets.size() - 1;
  }

  bool has_labels_of(ValueId value, size_t set) const {
    return !labels(value).empty() && labels(value).units == plan_.sets[set].units;
  }

  // ---- Layers -----------------------------------------------------------------------------------------------------

  /// Layers' outputs that depend on no other mutated layer: their saved values are scaled.
  void plan_seed(NodeId id) {
    if (!plan_recurrent(id)) seed_layers(id);
    for (const ValueId output : program_.node(id).outputs)
      changed_[at_index(output)] = true;
  }

  void seed_layers(NodeId id) {
    for (const int32_t l : group_.layers) {
      const Layer& layer = map_.layer(l);
      if (layer.node != id) continue;
      seed(layer.output, layer.output_axis, layer.units);
      for (const ValueId state : layer.states) {
        if (!labels(state).empty()) seed(state, labels(state).axis, labels(state).units);
      }
    }
  }

  void seed(ValueId value, int64_t axis, const std::vector<int32_t>& units) {
    INCITE_ASSERT(batch_axis(value) >= 0);
    saved_.insert(value);
    const NodeId node = makers_[at_index(value)];
    const bool narrow = labels(value).axis == axis && labels(value).units == units && axis != batch_axis(value);
    Step& step = emit(node, narrow ? Kind::seed : Kind::whole_seed);
    step.value = value;
    step.axis = axis;
    step.scaled = add_scaled(units, !narrow);
    if (narrow) {
      step.slots = narrow_[at_index(value)] = set_of(units);
    } else {
      whole_[at_index(value)] = true;
    }
  }

  int64_t add_scaled(const std::vector<int32_t>& units, bool whole) {
    plan_.scaled.push_back({units, whole});
    return static_cast<int64_t>(plan_.scaled.size()) - 1;
  }

  /// Scales the whole outputs of a node that is one of the group's layers.
  void scale_layers(NodeId id) {
    const auto add = [&](ValueId value, int64_t axis, const std::vector<int32_t>& units) {
      Step& step = emit(id, Kind::scale);
      step.node = -1;
      step.value = value;
      step.axis = axis;
      step.scaled = add_scaled(units, true);
    };
    for (const int32_t l : group_.layers) {
      const Layer& layer = map_.layer(l);
      if (layer.node != id) continue;
      add(layer.output, layer.output_axis, layer.units);
      for (const ValueId state : layer.states) {
        if (!labels(state).empty()) add(state, labels(state).axis, labels(state).units);
      }
    }
  }

  // ---- Nodes that read what is changed ----------------------------------------------------------------------------

  void plan_node(NodeId id) {
    if (!plan_reshape(id) && !plan_narrow(id) && !plan_depthwise(id) && !plan_linear(id) && !plan_convolution(id) &&
        !plan_recurrent(id))
      plan_whole(id);
    for (const ValueId output : program_.node(id).outputs)
      changed_[at_index(output)] = true;
  }

  /// The slot set of the narrow values that a node reads; none where something that it reads is changed otherwise.
  size_t narrow_inputs(NodeId id) const {
    size_t set = none;
    for (const ValueId input : program_.node(id).inputs) {
      if (!changed(input)) continue;
      if (!is_narrow(input) || (set != none && set != narrow_[at_index(input)])) return none;
      set = narrow_[at_index(input)];
    }
    return set;
  }

  /// Saves what a node reads of the run without mutants, but the values that are `changed`.
  void save_unchanged(NodeId id) {
    for (const ValueId input : program_.node(id).inputs) {
      if (!changed(input) && !is_fixed(input)) saved_.insert(input);
    }
  }

  /// A view that makes of each position of the labelled axis one or several, in order.
  bool plan_reshape(NodeId id) {
    const Node& node = program_.node(id);
    if (node.op != "aten::flatten" && node.op != "aten::view" && node.op != "aten::reshape") return false;
    const ValueId input = node.inputs[0];
    const ValueId output = node.outputs[0];
    if (!is_narrow(input) || labels(output).empty()) return false;
    const auto from = static_cast<size_t>(labels(input).axis);
    const auto to = static_cast<size_t>(labels(output).axis);
    const std::vector<int64_t>& before = sizes(input);
    const std::vector<int64_t>& after = sizes(output);
    if (after[to] % before[from] != 0 || product_of(before, 0, from) != product_of(after, 0, to)) return false;
    if (batch_axis(output) < 0 || batch_axis(input) >= labels(input).axis || batch_axis(output) >= labels(output).axis)
      return false;
    const size_t set = repeated(narrow_[at_index(input)], after[to] / before[from]);
    if (!has_labels_of(output, set)) return false;
    Step& step = emit(id, Kind::reshape);
    step.changed = input;
    step.axis = labels(output).axis;
    step.slots = narrow_[at_index(output)] = set;
    return true;
  }

  bool plan_narrow(NodeId id) {
    const Node& node = program_.node(id);
    const Locality locality = map_.localities[at_index(id)];
    const size_t set = narrow_inputs(id);
    if (locality == Locality::mixing || set == none) return false;
    for (const ValueId output : node.outputs) {
      if (!has_labels_of(output, set) || batch_axis(output) < 0) return false;
    }
    const ValueId output = node.outputs[0];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (!changed(input)) continue;
      if (locality != Locality::elementwise && i > 0) return false;
      const bool aligned = static_cast<int64_t>(sizes(output).size()) - labels(output).axis ==
                           static_cast<int64_t>(sizes(input).size()) - labels(input).axis;
      if (locality == Locality::elementwise && !aligned) return false;
    }
    save_unchanged(id);
    Step& step = emit(id, Kind::narrow);
    step.locality = locality;
    step.axis = labels(output).axis;
    step.slots = set;
    for (const ValueId made : node.outputs)
      narrow_[at_index(made)] = set;
    return true;
  }

  std::optional<Convolution> convolution_at(NodeId id) const {
    const Node& node = program_.node(id);
    return convolution_of(
        node, [&](size_t input) -> const c10::IValue& { return sample_.others[at_index(node.inputs[input])]; });
  }

  /// A convolution with a filter of its own for each channel.
  bool plan_depthwise(NodeId id) {
    const Node& node = program_.node(id);
    const size_t set = narrow_inputs(id);
    const std::optional<Convolution> convolution = convolution_at(id);
    // A transposed one's own operator runs whole.
    if (set == none || !convolution || (convolution->transposed && !convolution->general)) return false;
    if (changed(node.inputs[1])) return false;
    const ValueId output = node.outputs[0];
    const std::vector<int64_t>& weight = sizes(node.inputs[1]);
    const SizeArgument* groups = groups_of(id);
    const bool of_its_own = weight[1] == 1 && weight[0] == plan_.sets[set].positions() && weight[0] > 1;
    if (!of_its_own || labels(node.inputs[0]).axis != 1 || labels(output).axis != 1 || !has_labels_of(output, set) ||
        groups == nullptr)
      return false;
    save_unchanged(id);
    Step& step = emit(id, Kind::depthwise);
    step.groups_input = groups->input;
    step.axis = 1;
    step.slots = narrow_[at_index(output)] = set;
    for (const int32_t l : group_.layers) {
      if (map_.layer(l).node == id) step.scaled = add_scaled(map_.layer(l).units, false);
    }
    return true;
  }

  /// Where a grouped convolution's number of groups stands; nullptr for other nodes.
  const SizeArgument* groups_of(NodeId id) const {
    const auto found = std::find_if(map_.sizes.begin(), map_.sizes.end(),
                                    [&](const SizeArgument& size) { return size.node == id && size.element < 0; });
    return found == map_.sizes.end() ? nullptr : &*found;
  }

  /// Whether a node reads a narrow value at input 0 and nothing else that is changed.
  bool reads_narrow(NodeId id) const {
    const Node& node = program_.node(id);
    if (!is_narrow(node.inputs[0])) return false;
    return std::none_of(node.inputs.begin() + 1, node.inputs.end(), [&](ValueId v) { return changed(v); });
  }

  bool plan_linear(NodeId id) {
    const Node& node = program_.node(id);
    if (node.op != "aten::linear" || !reads_narrow(id)) return false;
    const ValueId input = node.inputs[0];
    const std::vector<int64_t>& weight = sizes(node.inputs[1]);
    const auto rank = static_cast<int64_t>(sizes(input).size());
    if (labels(input).axis != rank - 1 || rank < 2 || weight.size() != 2) return false;
    const size_t set = narrow_[at_index(input)];
    if (weight[1] != plan_.sets[set].positions() || batch_axis(node.outputs[0]) < 0) return false;
    consume(id, Kind::linear, input, set);
    return true;
  }

  bool plan_convolution(NodeId id) {
    const Node& node = program_.node(id);
    const std::optional<Convolution> convolution = convolution_at(id);
    if (!convolution || convolution->transposed || !reads_narrow(id)) return false;
    const ValueId input = node.inputs[0];
    const std::vector<int64_t>& weight = sizes(node.inputs[1]);
    const size_t set = narrow_[at_index(input)];
    if (labels(input).axis != 1 || batch_axis(input) != 0 || batch_axis(node.outputs[0]) != 0 ||
        weight.size() != sizes(input).size() || weight[1] != plan_.sets[set].positions())
      return false;
    consume(id, Kind::convolution, input, set);
    return true;
  }

  /// A linear operation makes a difference of a difference: it is added to what it made without mutants.
  void consume(NodeId id, Kind kind, ValueId input, size_t set) {
    save_unchanged(id);
    saved_.insert(input);
    saved_.insert(program_.node(id).outputs[0]);
    Step& step = emit(id, kind);
    step.changed = input;
    step.slots = set;
    step.axis = labels(input).axis;
    whole_[at_index(step.value)] = true;
    scale_layers(id);
  }

  // ---- Whole values -------------------------------------------------------------------------------------------------

  void plan_whole(NodeId id) {
    const bool broadcast = broadcasts(id);
    run_whole(id, id, broadcast);
    steps_[at_index(id)].back().broadcast = broadcast;
    scale_layers(id);
  }

  /// A recurrent layer of the group: its mutants take from a unit what it gives to its own layer, too. That changes all
  /// that the layer makes.
  bool plan_recurrent(NodeId id) {
    const auto layer =
        std::find_if(group_.layers.begin(), group_.layers.end(), [&](int32_t l) { return map_.layer(l).node == id; });
    if (layer == group_.layers.end()) return false;
    const std::optional<RecurrentLayer> recurrent = recurrent_of(program_, program_.node(id));
    if (!recurrent) return false;
    run_whole(id, id, true);
    Step& step = steps_[at_index(id)].back();
    step.kind = Kind::recurrent;
    const std::vector<int32_t>& units = map_.layer(*layer).units;
    const auto own = static_cast<std::ptrdiff_t>(units.size() / recurrent->directions.size());
    step.feedback = add_scaled({units.begin(), units.begin() + own}, true);
    scale_layers(id);
    return true;
  }

  /// Runs a node on whole values, just before or as the node `reader`.
  void run_whole(NodeId id, NodeId reader, bool broadcast) {
    for (const ValueId input : program_.node(id).inputs)
      make_whole(input, reader, broadcast);
    Step& step = emit(reader, Kind::whole);
    step.node = id;
    step.value = program_.node(id).outputs[0];
    for (const ValueId output : program_.node(id).outputs)
      whole_[at_index(output)] = true;
  }

  /// Whether a node works element by element on tensors of one rank whose first axis is the batch: an operand without
  /// mutants is then broadcast to the mutants.
  bool broadcasts(NodeId id) const {
    const Node& node = program_.node(id);
    if (map_.localities[at_index(id)] != Locality::elementwise || node.outputs.size() != 1) return false;
    const auto fits = [&](ValueId v) { return sizes(v).size() == sizes(node.outputs[0]).size() && batch_axis(v) == 0; };
    return fits(node.outputs[0]) && std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
             return is_fixed(v) || !is_tensor(v) || batch_axis(v) < 0 || fits(v);
           });
  }

  /// Sees to it that a value is there for a node that runs on whole values. `broadcast`: unchanged tensors may stay.
  void make_whole(ValueId value, NodeId reader, bool broadcast) {
    if (is_fixed(value) || whole_[at_index(value)]) return;
    if (changed(value) && is_narrow(value)) {
      saved_.insert(value);
      Step& step = emit(reader, Kind::widen);
      step.node = -1;
      step.value = value;
      step.axis = labels(value).axis;
      step.slots = narrow_[at_index(value)];
      whole_[at_index(value)] = true;
    } else if (is_tensor(value)) {
      saved_.insert(value);
      if (broadcast || batch_axis(value) < 0) return;
      Step& step = emit(reader, Kind::stack);
      step.node = -1;
      step.value = value;
      whole_[at_index(value)] = true;
    } else {  // a list, or a size: made anew, since the stacked batch is larger
      const NodeId maker = makers_[at_index(value)];
      if (holds_tensors(*program_.value(value).type)) {
        run_whole(maker, reader, false);
      } else {
        run_for_shapes(maker, reader);
      }
    }
  }

  void run_for_shapes(NodeId maker, NodeId reader) {
    for (const ValueId input : program_.node(maker).inputs) {
      if (!is_tensor(input)) make_whole(input, reader, false);
    }
    Step& step = emit(reader, Kind::size);
    step.node = maker;
    step.value = program_.node(maker).outputs[0];
    for (const ValueId output : program_.node(maker).outputs)
      whole_[at_index(output)] = true;
  }

  // ---- When all is planned
  // --------------------------------------------------------------------------------------------

  /// What a step reads and makes.
  struct Use {
    std::vector<ValueId> narrow_read, narrow_made, whole_read, whole_made;
  };

  Use use_of(const Step& step) const {
    Use use;
    const std::vector<ValueId> none_read;
    const std::vector<ValueId>& inputs = step.node < 0 ? none_read : program_.node(step.node).inputs;
    const auto made = step.node < 0 ? std::vector<ValueId>{step.value} : program_.node(step.node).outputs;
    switch (step.kind) {
      case Kind::seed:
        use.narrow_made = {step.value};
        break;
      case Kind::narrow:
      case Kind::depthwise:
      case Kind::reshape:
        use.narrow_read = inputs;
        use.narrow_made = made;
        break;
      case Kind::linear:
      case Kind::convolution:
        use.narrow_read = {step.changed};
        use.whole_made = made;
        break;
      case Kind::widen:
        use.narrow_read = {step.value};
        use.whole_made = {step.value};
        break;
      case Kind::whole_seed:
      case Kind::stack:
        use.whole_made = {step.value};
        break;
      case Kind::scale:
        use.whole_read = {step.value};
        break;
      case Kind::whole:
      case Kind::recurrent:
      case Kind::size:
        use.whole_read = inputs;
        use.whole_made = made;
        break;
    }
    return use;
  }

  void note_deaths() {
    std::set<ValueId> narrow_seen;
    std::set<ValueId> whole_seen = {program_.output};
    const auto note = [&](const std::vector<ValueId>& values, std::set<ValueId>& seen, std::vector<ValueId>& dead) {
      for (const ValueId value : values) {
        if (!is_fixed(value) && seen.insert(value).second) dead.push_back(value);
      }
    };
    // clang 14 can't compile the ranges of g++ 12.
    // NOLINTNEXTLINE(modernize-loop-convert)
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      const Use use = use_of(*step);
      for (const auto* values : {&use.narrow_read, &use.narrow_made})
        note(*values, narrow_seen, step->narrow_dies);
      for (const auto* values : {&use.whole_read, &use.whole_made})
        note(*values, whole_seen, step->whole_dies);
    }
  }

  int64_t whole_bytes(ValueId value) const {
    return is_tensor(value) ? product_of(sizes(value), 0, sizes(value).size()) * 4 : 0;
  }

  int64_t narrow_bytes(ValueId value) const {
    if (!is_narrow(value)) return 0;
    const SuffixPlan::SlotSet& set = plan_.sets[narrow_[at_index(value)]];
    return whole_bytes(value) / std::max<int64_t>(set.positions(), 1) * set.widest;
  }

  /// The most that lives at one time, with as much again for the copies that a step makes on its way.
  void count_bytes() {
    std::map<ValueId, int64_t> narrow_live;
    std::map<ValueId, int64_t> whole_live;
    int64_t live = 0;
    const auto drop = [&](std::map<ValueId, int64_t>& of, ValueId value) {
      const auto found = of.find(value);
      if (found == of.end()) return;
      live -= found->second;
      of.erase(found);
    };
    for (const Step& step : plan_.steps) {
      const Use use = use_of(step);
      int64_t touched = 0;
      for (const ValueId value : use.narrow_read)
        touched += narrow_bytes(value);
      for (const ValueId value : use.whole_read)
        touched += step.kind == Kind::size || is_fixed(value) ? 0 : whole_bytes(value);
      for (const ValueId value : use.narrow_made) {
        live += narrow_live[value] = narrow_bytes(value);
        touched += narrow_bytes(value);
      }
      for (const ValueId value : use.whole_made) {
        live += whole_live[value] = whole_bytes(value);
        touched += whole_bytes(value);
      }
      plan_.bytes_per_sample = std::max(plan_.bytes_per_sample, live + touched);
      for (const ValueId dead : step.narrow_dies)
        drop(narrow_live, dead);
      for (const ValueId dead : step.whole_dies)
        drop(whole_live, dead);
    }
  }

  /// Of a node for one sample, run whole.
  double multiply_adds(NodeId id) const {
    return incite::multiply_adds(program_, id, [this](ValueId v) -> const std::vector<int64_t>& { return sizes(v); });
  }

  double multiply_adds(const Step& step) const {
    const auto share = [&] {  // of the positions, those that a mutant changes
      const SuffixPlan::SlotSet& set = plan_.sets[step.slots];
      return set.mean / static_cast<double>(std::max<int64_t>(set.positions(), 1));
    };
    switch (step.kind) {
      case Kind::linear:
      case Kind::convolution:
      case Kind::depthwise:
        return multiply_adds(step.node) * share();
      case Kind::whole:
      case Kind::recurrent:
        return multiply_adds(step.node);
      default:
        return 0;
    }
  }

  const Program& program_;
  const UnitMap& map_;
  const Group& group_;
  const Sample& sample_;
  const std::vector<int64_t>& unit_clusters_;
  SuffixPlan plan_;
  std::vector<NodeId> makers_;            // by value
  std::vector<bool> changed_;             // by value
  std::vector<size_t> narrow_;            // by value: slot set of its narrow form
  std::vector<bool> whole_;               // by value: there is a whole form
  std::vector<std::vector<Step>> steps_;  // by node
  std::set<ValueId> saved_;
};

}  // namespace

SuffixPlan plan_suffix(const Program& program, const UnitMap& map, int32_t group, const Sample& sample,
                       const std::vector<int64_t>& unit_clusters) {
  return Planner(program, map, group, sample, unit_clusters).run();
}

}  // namespace incite
