#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/disjoint_sets.hpp"
#include "units/flow.hpp"
#include "units/mutants.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// An input of a node.
struct Place {
  NodeId node = -1;
  size_t input = 0;

  // clang-tidy takes the 0 that <=> is compared with for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const Place&) const = default;
};

/// The state of the label analysis while it walks the nodes; the rules (rules.cpp) work on it. Here a label is a
/// channel of one layer; labels that belong to one unit are joined in disjoint sets.
///
/// Labels may vary along several axes only while nothing but layout and element-wise operations touch them. What needs
/// them along one axis ties them (`settle`); what still varies along several when all nodes are walked is resolved by
/// `resolve_layouts` (layouts.cpp).
class Analysis {
 public:
  Analysis(const Program& program, const Sample& sample);

  UnitMap run();

  // ---- What the current node reads ------------------------------------------------------------------------------

  const Node& node() const { return *node_; }
  /// Whether input `i` is there and not None.
  bool has_input(size_t i) const;
  const std::vector<int64_t>& shape(ValueId value) const { return sample_.shape(value); }
  int64_t size(ValueId value, int64_t axis) const { return shape(value)[static_cast<size_t>(axis)]; }
  const std::vector<int64_t>& input_shape(size_t i) const { return shape(node_->inputs[i]); }
  int64_t rank(ValueId value) const { return static_cast<int64_t>(shape(value).size()); }
  int64_t input_rank(size_t i) const { return rank(node_->inputs[i]); }
  /// Whether input `i` is a tensor.
  bool is_tensor(size_t i) const;
  /// The sample's value of an input that is no tensor, None for tensors.
  const c10::IValue& constant(size_t i) const;
  int64_t integer(size_t i) const { return constant(i).toInt(); }
  /// Whether a value depends on parameters, constants and shapes alone.
  bool is_fixed(ValueId value) const { return fixed_[at_index(value)]; }
  bool is_parameter(ValueId value) const { return program_.is_parameter(value); }
  /// The places of a list's elements, made by prim::ListConstruct; none where the list was made otherwise.
  std::vector<Place> list_elements(size_t i) const;
  ValueId value_at(const Place& place) const { return program_.node(place.node).inputs[place.input]; }
  Place place(size_t i) const { return {id_, i}; }

  // ---- Labels -----------------------------------------------------------------------------------------------------

  const Flow& flow(ValueId value) const { return flows_[at_index(value)]; }
  const Flow& input_flow(size_t i) const { return flow(node_->inputs[i]); }
  /// Gives a value labels. One label for all of it can't be removed with it, so it is pinned.
  void set_flow(ValueId value, const Flow& flow);
  void set_output(const Flow& flow) { set_flow(node_->outputs[0], flow); }
  /// The same for each output that is a tensor of the first one's shape.
  void set_outputs(const Flow& flow);

  /// Makes labels one unit where they stand at the same place, with broadcasting; with -1, the other can't be removed.
  void tie(const Flow& a, const Flow& b, PinReason reason);
  void tie(int32_t a, int32_t b, PinReason reason);
  /// Ties the labels of a value so that they vary along `axis` alone.
  void settle(ValueId value, int64_t axis);
  /// The same, along the axis that leaves most units, but none of `avoid`. False if there is no other.
  bool settle_beside(ValueId value, const std::vector<int64_t>& avoid);
  void pin(const Flow& flow, PinReason reason);
  /// Pins whatever this node reads, and leaves its outputs without labels.
  void pin_inputs(PinReason reason);

  // ---- What is cut --------------------------------------------------------------------------------------------------

  /// Says that dimension `dimension` of what stands at `place`, a fixed tensor, is cut as `labels` say.
  void bind(const Place& place, int64_t dimension, const std::vector<int32_t>& labels);
  /// Whether a place holds a fixed tensor, which can be cut.
  bool can_bind(const Place& place) const;
  /// Whether a place holds a parameter or constant itself.
  bool is_stored(const Place& place) const;

  /// A new layer made by this node, of so many channels; returns their labels.
  std::vector<int32_t> add_layer(ValueId weight, int64_t weight_axis, ValueId bias, int64_t output_axis,
                                 int64_t channels);
  Layer& last_layer() { return map_.layers.back(); }
  void add_reader(const Place& place) { map_.readers.push_back({place.node, place.input}); }
  void add_size(size_t input, int64_t element, ValueId value) {
    if (!left_out(node_->op, "size")) sizes_.push_back({id_, input, element, value});
  }
  void set_locality(Locality locality) { map_.localities[at_index(id_)] = locality; }
  void add_feedback(ValueId weight, const std::vector<int32_t>& labels) { map_.feedbacks.push_back({weight, labels}); }

  /// This node moves elements about and changes none: runs it on positions. Along the axes `sensitive` of input 0 it
  /// does not do on a cut value what it does on a whole one; nor, where it `keeps_axis`, does it for labels that leave
  /// it along another axis than they came.
  void move(const std::vector<int64_t>& sensitive, bool keeps_axis = false);
  /// The outputs of prim::ListUnpack, whose list `move` has made.
  void unpack();

 private:
  struct Layout {
    ValueId input;
    std::vector<int64_t> sensitive;
    bool keeps_axis;
  };

  Flow rooted(const Flow& flow);
  void pin_label(int32_t label, PinReason reason);
  std::vector<at::Tensor> run_on_positions(const at::Tensor& positions, const Node& node) const;
  void find_fixed();

  // layouts.cpp
  void resolve_layouts();
  bool settle_what_is_touched();
  bool resolve_layout(NodeId id, const Layout& layout);
  std::optional<Rearrangement> rearrangement(ValueId value);
  const Layout* layout_of(NodeId id) const;
  Flow final_flow(ValueId value);

  // unit_map.cpp
  void resolve_sizes();
  void check_parameters();
  void check_parameter(ValueId value);
  void finish_outputs();
  size_t channels_of(int32_t layer) const;
  void build_units();
  void build_labels(const std::vector<int32_t>& unit_of);
  void build_groups();
  void build_spans();
  void build_pins();

  // whole_layers.cpp
  /// Where what is made of parameters alone first meets what depends on the input.
  struct FixedUse {
    NodeId node = -1;
    bool computed = false;  ///< something is computed of it before
    int64_t places = 0;     ///< operations that read it
  };
  FixedUse first_use(ValueId fixed) const;
  bool is_cut(ValueId parameter) const;
  PinReason reason_of_whole(const FixedUse& use) const;
  void find_whole_layers();

  const Program& program_;
  const Sample& sample_;
  UnitMap map_;
  NodeId id_ = -1;
  const Node* node_ = nullptr;

  std::vector<Flow> flows_;                          // by value
  std::map<ValueId, std::vector<Flow>> list_flows_;  // of the lists that layout operations make
  std::map<NodeId, Layout> layouts_;
  std::set<NodeId> whole_;  // layout operations whose input can't be cut
  std::vector<SizeArgument> sizes_;
  std::vector<bool> fixed_;  // by value
  std::map<ValueId, NodeId> makers_;
  DisjointSets sets_;                                // of labels that are one unit
  std::vector<std::pair<int32_t, int32_t>> origin_;  // by label: layer and channel
  struct Binding {
    Place place;
    int64_t dimension;
    std::vector<int32_t> labels;
  };
  std::map<ValueId, std::vector<Binding>> bindings_;
  std::map<ValueId, std::set<Place>> reads_;  // of parameters and constants
  struct PinEvent {
    NodeId node;
    PinReason reason;
    int32_t label;
  };
  std::vector<PinEvent> pin_events_;
};

/// Applies the rule of the analysis' current node; false if there is none for its operation.
bool apply_rule(Analysis& analysis);
/// Whether there is a rule for an operation.
bool has_rule(const std::string& op);

}  // namespace incite
