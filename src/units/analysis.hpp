#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <utility>

#include "incite/units/unit_map.hpp"

namespace incite {

/// The state of the label analysis while it walks the nodes; the rules (rules.cpp) work on it. Here a label is a
/// channel of one layer; labels that belong to one unit are joined in a union-find forest.
class Analysis {
 public:
  Analysis(const Program& program, const Sample& sample);

  UnitMap run();

  // ---- For the rules ------------------------------------------------------------------------------------------

  const Node& node() const { return *node_; }
  /// Whether input `i` is there and not None.
  bool has_input(size_t i) const;
  const std::vector<int64_t>& shape(ValueId value) const { return sample_.shapes[static_cast<size_t>(value)]; }
  int64_t rank(ValueId value) const { return static_cast<int64_t>(shape(value).size()); }
  /// Whether input `i` is a tensor.
  bool is_tensor(size_t i) const;
  /// The sample's value of an input that is no tensor, None for tensors.
  const c10::IValue& constant(size_t i) const;
  int64_t integer(size_t i) const { return constant(i).toInt(); }

  const Labels& labels(ValueId value) const { return labels_[static_cast<size_t>(value)]; }
  const Labels& input_labels(size_t i) const { return labels(node_->inputs[i]); }
  void set_labels(ValueId value, Labels labels);
  void set_output(Labels labels) { set_labels(node_->outputs[0], std::move(labels)); }
  /// The values that a list, made by prim::ListConstruct, holds.
  const std::vector<ValueId>& list_elements(ValueId list) const;
  void set_list_labels(ValueId list, std::vector<Labels> labels);
  const std::vector<Labels>* list_labels(ValueId list) const;

  /// Makes two labels one unit; with no_unit, the other can't be removed.
  void tie(int32_t a, int32_t b, const char* reason);
  void pin(const Labels& labels, const char* reason);
  /// Pins whatever this node reads, and leaves its outputs without labels.
  void pin_inputs(const char* reason);

  /// Says that dimension `dimension` of input `i`, a parameter or constant, is cut as `units` says. Pins them when it
  /// can't be.
  void bind(size_t i, int64_t dimension, const std::vector<int32_t>& units);
  /// Whether input `i` is a parameter or a constant tensor, which can be cut.
  bool can_bind(size_t i) const;

  /// A new layer made by this node; returns its labels.
  Labels add_layer(size_t weight_input, int64_t weight_axis, size_t bias_input, int64_t output_axis);
  void add_reader(size_t input) { map_.readers.push_back({id_, input}); }
  void add_size(size_t input, int64_t element, ValueId value) { map_.sizes.push_back({id_, input, element, value}); }

  /// Runs this node on tensors that hold positions along the labelled axis of input 0. One entry for each output (or
  /// for each element of its list); no labels where the result varies along several axes or none.
  std::vector<Labels> move_positions();

 private:
  int32_t find(int32_t label);
  void pin_label(int32_t label, const char* reason);
  void check_parameters();
  void finish_outputs();
  void build_units();
  void build_groups();
  void build_pins();

  const Program& program_;
  const Sample& sample_;
  UnitMap map_;
  NodeId id_ = -1;
  const Node* node_ = nullptr;

  std::vector<Labels> labels_;                          // by value
  std::map<ValueId, std::vector<Labels>> list_labels_;  // labels of lists that a node made
  std::map<ValueId, NodeId> makers_;
  std::vector<int32_t> parent_;                      // union-find, by label
  std::vector<std::pair<int32_t, int32_t>> origin_;  // by label: layer and channel
  struct Binding {
    NodeId node;
    size_t input;
    int64_t dimension;
    std::vector<int32_t> units;
  };
  std::map<ValueId, std::vector<Binding>> bindings_;
  std::map<ValueId, std::set<std::pair<NodeId, size_t>>> reads_;  // of parameters
  struct PinEvent {
    NodeId node;
    std::string reason;
    int32_t label;
  };
  std::vector<PinEvent> pin_events_;
};

/// Applies the rule of the analysis' current node; false if there is none for its operation.
bool apply_rule(Analysis& analysis);

}  // namespace incite
