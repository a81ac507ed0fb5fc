#include "program/lower.hpp"

#include <ATen/ATen.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <map>

#include "base/fail.hpp"
#include "program/core_operators.hpp"

namespace incite {
namespace {

class Lowering {
 public:
  explicit Lowering(Program& program) : program_(program), old_(std::move(program.nodes)) {
    for (size_t n = 0; n < old_.size(); ++n) {
      for (const ValueId output : old_[n].outputs)
        makers_[output] = n;
    }
  }

  void run() {
    for (const Node& node : old_) {
      source_ = node.source;
      if (!lower(node)) nodes_.push_back(node);
    }
    program_.nodes = std::move(nodes_);
    program_.remove_dead_nodes();
  }

 private:
  bool lower(const Node& node) {
    if (node.op == "aten::lstm" || node.op == "aten::gru" || node.op == "aten::rnn_tanh" || node.op == "aten::rnn_relu")
      return lower_recurrent(node);
    if (node.op == "aten::select") return lower_select(node);
    if (node.op == "aten::matmul" || node.op == "aten::mm") return lower_product(node, 0, none());
    if (node.op == "aten::addmm") return lower_addmm(node);
    if (node.op == "aten::channel_shuffle" || node.op == "aten::native_channel_shuffle")
      return lower_channel_shuffle(node);
    if (node.op == "aten::_native_multi_head_attention") return lower_attention(node);
    if (node.op == "aten::_transformer_encoder_layer_fwd") return lower_encoder_layer(node);
    return false;
  }

  // ---- Nodes --------------------------------------------------------------------------------------------------------

  ValueId none() { return program_.add_constant(c10::IValue()); }
  ValueId number(int64_t n) { return program_.add_constant(n); }
  ValueId numbers(const std::vector<int64_t>& n) { return program_.add_constant(c10::List<int64_t>(n)); }

  /// Adds a node; its one output is `output`, or a new tensor.
  ValueId add(const std::string& op, const std::string& overload, std::vector<ValueId> inputs, ValueId output = -1) {
    nodes_.push_back(output < 0 ? make_node(program_, op, overload, std::move(inputs), source_)
                                : make_node(op, overload, std::move(inputs), {output}, source_));
    return nodes_.back().outputs[0];
  }

  ValueId add_list(const std::vector<ValueId>& elements) {
    const c10::TypePtr type = c10::ListType::ofTensors();
    nodes_.push_back(make_container(type, elements, program_.add_computed(type), source_));
    return nodes_.back().outputs[0];
  }

  const Node* maker(ValueId value) const {
    const auto found = makers_.find(value);
    return found == makers_.end() ? nullptr : &old_[found->second];
  }

  const c10::IValue& constant(const Node& node, size_t input) const {
    return program_.value(node.inputs[input]).content;
  }

  // ---- Recurrent networks -------------------------------------------------------------------------------------------

  bool lower_recurrent(const Node& node) {
    const c10::IValue layers = node.inputs.size() == 9 ? constant(node, 4) : c10::IValue();
    const Node* parameters = node.inputs.size() == 9 ? maker(node.inputs[2]) : nullptr;
    if (!layers.isInt() || layers.toInt() < 2 || parameters == nullptr || !constant(node, 7).isBool()) return false;
    const int64_t count = layers.toInt();
    const int64_t directions = constant(node, 7).toBool() ? 2 : 1;
    const size_t each = parameters->inputs.size() / static_cast<size_t>(count);
    const Node* states = node.op == "aten::lstm" ? maker(node.inputs[1]) : nullptr;
    const std::vector<ValueId> start = states != nullptr ? states->inputs : std::vector<ValueId>{node.inputs[1]};

    ValueId x = node.inputs[0];
    std::vector<std::vector<ValueId>> ends(node.outputs.size());  // of each output, by layer
    for (int64_t layer = 0; layer < count; ++layer) {
      const auto first = parameters->inputs.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(layer) * each);
      Node one = node;
      one.inputs[0] = x;
      one.inputs[2] = add_list({first, first + static_cast<std::ptrdiff_t>(each)});
      one.inputs[4] = number(1);
      std::vector<ValueId> own;
      for (const ValueId state : start) {
        own.push_back(add("aten::slice", "Tensor",
                          {state, number(0), number(layer * directions), number((layer + 1) * directions), number(1)}));
      }
      one.inputs[1] = states != nullptr ? add_list(own) : own[0];
      for (size_t output = 0; output < one.outputs.size(); ++output) {
        if (output > 0 || layer + 1 < count) one.outputs[output] = program_.add_computed();
        ends[output].push_back(one.outputs[output]);
      }
      x = one.outputs[0];
      nodes_.push_back(std::move(one));
    }
    for (size_t output = 1; output < ends.size(); ++output) {
      add("aten::cat", "", {add_list(ends[output]), number(0)}, node.outputs[output]);
      last_states_[node.outputs[output]] = {ends[output], directions};
    }
    return true;
  }

  /// h_n[-1]: straight from the layer that made it.
  bool lower_select(const Node& node) {
    const auto states = last_states_.find(node.inputs[0]);
    if (states == last_states_.end() || !constant(node, 1).isInt() || constant(node, 1).toInt() != 0 ||
        !constant(node, 2).isInt())
      return false;
    const auto& [layers, directions] = states->second;
    const int64_t all = static_cast<int64_t>(layers.size()) * directions;
    const int64_t index = constant(node, 2).toInt();
    const int64_t place = index < 0 ? index + all : index;
    Node select = node;
    select.inputs[0] = layers[static_cast<size_t>(place / directions)];
    select.inputs[2] = number(place % directions);
    nodes_.push_back(std::move(select));
    return true;
  }

  // ---- Linear layers

  /// The parameter of which a value is the transpose; -1 where it is not that.
  ValueId transposed(ValueId value) const {
    const Node* node = maker(value);
    if (node == nullptr || !program_.is_parameter(node->inputs[0])) return -1;
    if (program_.value(node->inputs[0]).content.toTensor().dim() != 2) return -1;
    if (node->op == "aten::t" || node->op == "aten::numpy_T") return node->inputs[0];
    if (node->op == "aten::transpose" && constant(*node, 1) != constant(*node, 2)) return node->inputs[0];
    const c10::IValue order = node->op == "aten::permute" ? constant(*node, 1) : c10::IValue();
    if (order.isIntList() && order.toIntVector() == std::vector<int64_t>{1, 0}) return node->inputs[0];
    return -1;
  }

  bool lower_product(const Node& node, size_t first, ValueId bias) {
    const ValueId weight = transposed(node.inputs[first + 1]);
    if (weight < 0) return false;
    add("aten::linear", "", {node.inputs[first], weight, bias}, node.outputs[0]);
    return true;
  }

  bool lower_addmm(const Node& node) {
    const Value& bias = program_.value(node.inputs[0]);
    const bool plain = bias.kind == Value::Kind::parameter && bias.content.toTensor().dim() == 1 &&
                       constant(node, 3).isScalar() && constant(node, 3).toScalar().toDouble() == 1 &&
                       constant(node, 4).isScalar() && constant(node, 4).toScalar().toDouble() == 1;
    return plain && lower_product(node, 1, node.inputs[0]);
  }

  // ---- Channel shuffle

  bool lower_channel_shuffle(const Node& node) {
    const int64_t groups = constant(node, 1).toInt();
    const ValueId split = add("aten::unflatten", "int", {node.inputs[0], number(1), numbers({groups, -1})});
    const ValueId turned = add("aten::transpose", "int", {split, number(1), number(2)});
    add("aten::flatten", "using_ints", {turned, number(1), number(2)}, node.outputs[0]);
    return true;
  }

  // ---- Fused attention

  struct Attention {
    ValueId qkv_weight, qkv_bias, out_weight, out_bias;
    int64_t width, heads;
  };

  /// Self-attention over x [samples, tokens, width].
  ValueId add_attention(ValueId x, const Attention& attention, ValueId output = -1) {
    const ValueId qkv = add("aten::linear", "", {x, attention.qkv_weight, attention.qkv_bias});
    const ValueId split = add("aten::unflatten", "int",
                              {qkv, number(-1), numbers({3, attention.heads, attention.width / attention.heads})});
    const ValueId heads = add("aten::permute", "", {split, numbers({2, 0, 3, 1, 4})});
    std::vector<ValueId> inputs;
    for (int64_t i = 0; i < 3; ++i)
      inputs.push_back(add("aten::select", "int", {heads, number(0), number(i)}));
    for (const c10::IValue& value :
         {c10::IValue(), c10::IValue(0.0), c10::IValue(false), c10::IValue(), c10::IValue(false)})
      inputs.push_back(program_.add_constant(value));
    const ValueId attended = add("aten::scaled_dot_product_attention", "", inputs);
    const ValueId tokens = add("aten::transpose", "int", {attended, number(1), number(2)});
    const ValueId joined = add("aten::flatten", "using_ints", {tokens, number(2), number(-1)});
    return add("aten::linear", "", {joined, attention.out_weight, attention.out_bias}, output);
  }

  bool is_plain_attention(const Node& node, size_t mask) const {
    return program_.is_constant(node.inputs[mask]) && constant(node, mask).isNone();
  }

  bool is_used(ValueId value) const {
    return std::any_of(old_.begin(), old_.end(), [&](const Node& node) {
      return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
    });
  }

  bool lower_attention(const Node& node) {
    const bool own = node.inputs[0] == node.inputs[1] && node.inputs[0] == node.inputs[2];
    if (!own || !is_plain_attention(node, 9) || is_used(node.outputs[1])) return false;
    add_attention(node.inputs[0],
                  {node.inputs[5], node.inputs[6], node.inputs[7], node.inputs[8], constant(node, 3).toInt(),
                   constant(node, 4).toInt()},
                  node.outputs[0]);
    return true;
  }

  ValueId add_sum(ValueId a, ValueId b, ValueId output = -1) {
    return add("aten::add", "Tensor", {a, b, number(1)}, output);
  }

  bool lower_encoder_layer(const Node& node) {
    if (!is_plain_attention(node, 18)) return false;
    const auto& in = node.inputs;
    const int64_t width = constant(node, 1).toInt();
    const Attention attention{in[3], in[4], in[5], in[6], width, constant(node, 2).toInt()};
    const auto norm = [&](ValueId x, ValueId weight, ValueId bias, ValueId output = -1) {
      return add("aten::layer_norm", "", {x, numbers({width}), weight, bias, in[9], program_.add_constant(false)},
                 output);
    };
    const auto feed_forward = [&](ValueId x) {
      ValueId inner = add("aten::linear", "", {x, in[14], in[15]});
      inner = constant(node, 7).toBool() ? add("aten::gelu", "", {inner, program_.add_constant(std::string("none"))})
                                         : add("aten::relu", "", {inner});
      return add("aten::linear", "", {inner, in[16], in[17]});
    };
    if (constant(node, 8).toBool()) {
      const ValueId x = add_sum(in[0], add_attention(norm(in[0], in[10], in[11]), attention));
      add_sum(x, feed_forward(norm(x, in[12], in[13])), node.outputs[0]);
    } else {
      const ValueId x = norm(add_sum(in[0], add_attention(in[0], attention)), in[10], in[11]);
      norm(add_sum(x, feed_forward(x)), in[12], in[13], node.outputs[0]);
    }
    return true;
  }

  Program& program_;
  const std::vector<Node> old_;
  std::vector<Node> nodes_;
  std::map<ValueId, size_t> makers_;
  std::map<ValueId, std::pair<std::vector<ValueId>, int64_t>> last_states_;  // by layer, and how many directions
  std::string source_;
};

}  // namespace

void lower(Program& program) {
  lower_core_operators(program);
  Lowering(program).run();
}

}  // namespace incite
