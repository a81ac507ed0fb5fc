#include "report/dot.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "report/pin_reasons.hpp"
#include "report/table.hpp"
#include "subject/analysed_model.hpp"

namespace incite {
namespace {

/// Names of the graph's nodes.
using Names = std::set<std::string>;

std::string dot_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

/// "aten::conv2d" without its namespace.
std::string short_op(const std::string& op) {
  const size_t colons = op.find("::");
  return colons == std::string::npos ? op : op.substr(colons + 2);
}

/// The label of the small node of an operation that joins values.
std::string join_sign(const std::string& op) {
  if (op == "aten::add") return "+";
  if (op == "aten::mul") return "*";
  return short_op(op);
}

/// Whether a value is or contains a tensor; only these become edges.
bool holds_tensors(const Value& value) {
  if (!value.type || value.type->kind() == c10::TypeKind::TensorType) return true;
  for (const c10::TypePtr& held : value.type->containedTypes()) {
    if (held->kind() == c10::TypeKind::TensorType) return true;
  }
  return false;
}

/// A colour for a group. Hues advance by the golden ratio, so that neighbouring groups differ clearly.
std::string colour(int32_t group) {
  const double hue = std::fmod(0.58 + 0.618034 * group, 1.0);
  return fmt::format("{:.3f} 0.28 1.000", hue);
}

class Drawing {
 public:
  explicit Drawing(const Inspection& inspection) : inspection_(inspection), map_(inspection.model->map) {
    for (size_t l = 0; l < map_.layers.size(); ++l)
      layers_[map_.layers[l].node] = static_cast<int32_t>(l);
    for (const Pin& pin : map_.pins)
      pins_[pin.node].push_back(&pin);
    from_.resize(inspection.model->program.values.size());
  }

  std::string text() {
    const Program& program = inspection_.model->program;
    add_inputs();
    for (size_t n = 0; n < program.nodes.size(); ++n)
      add(static_cast<NodeId>(n));
    add_output();
    return "digraph incite {\n"
           "  graph [ranksep=0.3, nodesep=0.2];\n"
           "  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\", fontsize=11];\n"
           "  edge [color=gray35, arrowsize=0.6];\n" +
           nodes_ + edges_ + "}\n";
  }

 private:
  void add_node(const std::string& name, const std::string& attributes) {
    nodes_ += fmt::format("  {} [{}];\n", name, attributes);
  }

  void add_edges(const Names& from, const std::string& to) {
    for (const std::string& name : from)
      edges_ += fmt::format("  {} -> {};\n", name, to);
  }

  void add_inputs() {
    const Program& program = inspection_.model->program;
    for (size_t v = 0; v < program.values.size(); ++v) {
      const Value& value = program.values[v];
      if (value.kind != Value::Kind::input) continue;
      const std::string name = fmt::format("input{}", v);
      add_node(name, fmt::format("label={}, shape=ellipse", dot_string(value.name.empty() ? "input" : value.name)));
      from_[v] = {name};
    }
  }

  Names sources(const Node& node) const {
    Names all;
    for (const ValueId input : node.inputs) {
      const Names& from = from_[static_cast<size_t>(input)];
      all.insert(from.begin(), from.end());
    }
    return all;
  }

  void add(NodeId id) {
    const Node& node = inspection_.model->program.node(id);
    const Names from = sources(node);
    const bool list = node.op == "prim::ListConstruct" || node.op == "prim::TupleConstruct";
    const auto layer = layers_.find(id);
    const std::string name = fmt::format("n{}", id);
    if (layer != layers_.end()) {
      add_layer(name, layer->second);
    } else if (pins_.contains(id)) {
      add_node(name, fmt::format("label={}, style=dashed, color=red3, tooltip={}",
                                 dot_string(short_op(node.op) + "\npins: " + reasons(id) + "\n" + node.source),
                                 dot_string(node.source)));
    } else if (from.size() > 1 && !list) {
      add_node(name, fmt::format("label={}, shape=ellipse, margin=0.02, width=0.1, height=0.1, fontsize=9, tooltip={}",
                                 dot_string(join_sign(node.op)), dot_string(node.source)));
    } else {
      return pass(node, from);
    }
    add_edges(from, name);
    pass(node, {name});
  }

  void pass(const Node& node, const Names& from) {
    for (const ValueId output : node.outputs) {
      if (holds_tensors(inspection_.model->program.value(output))) from_[static_cast<size_t>(output)] = from;
    }
  }

  /// The reasons of the pins at a node.
  std::string reasons(NodeId id) const {
    Names words;
    for (const Pin* pin : pins_.at(id))
      words.insert(to_string(pin->reason));
    return fmt::format("{}", fmt::join(words, ", "));
  }

  void add_layer(const std::string& name, int32_t index) {
    const Layer& layer = map_.layers[static_cast<size_t>(index)];
    const Node& node = inspection_.model->program.node(layer.node);
    const auto unit = [&](int32_t u) -> const Unit& { return map_.units[static_cast<size_t>(u)]; };
    const auto channels = static_cast<int64_t>(layer.units.size());
    const int64_t removable =
        std::count_if(layer.units.begin(), layer.units.end(), [&](int32_t u) { return !unit(u).pinned; });
    const int32_t group = unit(layer.units[0]).group;
    std::string label = layer.name + "\n" + short_op(node.op) + "\n";
    label += removable == channels ? human_count(channels) + " removable"
             : removable == 0      ? human_count(channels) + " pinned"
                                   : human_count(removable) + " of " + human_count(channels) + " removable";
    std::string attributes;
    if (pins_.contains(layer.node)) {
      label += "\npins: " + reasons(layer.node);
      attributes = ", style=\"filled,dashed\", color=red3";
    }
    add_node(name, fmt::format("label={}, fillcolor={}{}, tooltip={}", dot_string(label),
                               dot_string(removable == 0 ? "gray85" : colour(group)), attributes,
                               dot_string(fmt::format("group {}, {}", group, node.source))));
  }

  void add_output() {
    const ValueId output = inspection_.model->program.output;
    const std::string label =
        fmt::format("output\n{} ({})", human_count(inspection_.outputs), to_string(inspection_.kind));
    add_node("output", fmt::format("label={}, shape=ellipse", dot_string(label)));
    if (output >= 0) add_edges(from_[static_cast<size_t>(output)], "output");
  }

  const Inspection& inspection_;
  const UnitMap& map_;
  std::map<NodeId, int32_t> layers_;
  std::map<NodeId, std::vector<const Pin*>> pins_;
  std::vector<Names> from_;  // by value: the graph nodes that it comes from
  std::string nodes_, edges_;
};

}  // namespace

std::string to_dot(const Inspection& inspection) {
  return Drawing(inspection).text();
}

}  // namespace incite
