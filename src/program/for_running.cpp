#include "program/for_running.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "program/convolution.hpp"

namespace incite {
namespace {

class Rewriter {
 public:
  Rewriter(const Program& program, const std::vector<bool>& keep, NodeId first)
      : program_(program), keep_(keep), first_(first), reads_(program.values.size(), 0) {
    for (const Node& node : program.nodes) {
      for (const ValueId id : node.inputs)
        ++reads_[at_index(id)];
    }
    ++reads_[at_index(program.output)];
  }

  Program run() {
    for (size_t n = at_index(first_); n < program_.nodes.size(); ++n)
      fold(program_.nodes[n]);
    for (size_t n = at_index(first_); n < program_.nodes.size(); ++n)
      overwrite(program_.nodes[n]);
    if (program_.device.is_cpu() && has_depthwise_convolution() && !reads_memory()) hold_channels_last();
    return std::move(program_);
  }

 private:
  const c10::IValue& content(ValueId id) const { return program_.value(id).content; }

  bool is_tensor(ValueId id) const { return content(id).isTensor() && content(id).toTensor().defined(); }

  bool is_fixed(ValueId id) const { return program_.is_parameter(id) || program_.is_constant(id); }

  /// Whether a value is computed for one node alone.
  bool passes_by(ValueId id) const {
    return program_.is_computed(id) && reads_[at_index(id)] == 1 && (keep_.empty() || !keep_[at_index(id)]);
  }

  /// The convolution that makes a value which nothing but one node reads.
  std::optional<NodeId> convolution_before(ValueId id) const {
    if (!passes_by(id)) return {};
    const NodeId maker = program_.maker(id);
    const Node& node = program_.node(maker);
    const std::optional<Convolution> convolution = convolution_of(program_, node);
    if (maker < first_ || !convolution || !is_fixed(node.inputs[1]) || !is_fixed(node.inputs[2])) return {};
    if (!is_tensor(node.inputs[1])) return {};
    if (convolution->transposed && convolution->groups != c10::IValue(1)) return {};
    return maker;
  }

  /// Makes a batch norm part of the convolution before it, and itself a view of what that makes.
  void fold(Node& norm) {
    if (norm.op != "aten::batch_norm" || content(norm.inputs[5]) != c10::IValue(false)) return;
    if (!content(norm.inputs[7]).isDouble() || !is_tensor(norm.inputs[3]) || !is_tensor(norm.inputs[4])) return;
    for (size_t i = 1; i < 5; ++i) {
      if (!is_fixed(norm.inputs[i])) return;
    }
    const std::optional<NodeId> maker = convolution_before(norm.inputs[0]);
    if (!maker) return;
    Node& convolution = program_.node(*maker);
    const bool transposed = convolution_of(program_, convolution)->transposed;
    const auto values = [&](size_t input) { return content(norm.inputs[input]).toTensor().to(at::kDouble); };
    at::Tensor scale = (values(4) + content(norm.inputs[7]).toDouble()).rsqrt();
    if (is_tensor(norm.inputs[1])) scale = scale * values(1);
    const at::Tensor weight = content(convolution.inputs[1]).toTensor();
    std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
    shape[transposed ? 1 : 0] = scale.size(0);
    at::Tensor shift = -values(3);
    if (is_tensor(convolution.inputs[2])) shift = shift + content(convolution.inputs[2]).toTensor();
    shift = shift * scale;
    if (is_tensor(norm.inputs[2])) shift = shift + values(2);
    convolution.inputs[1] = program_.add_constant((weight * scale.reshape(shape)).to(weight.scalar_type()));
    convolution.inputs[2] = program_.add_constant(shift.to(weight.scalar_type()));
    norm = make_node("aten::alias", "", {norm.inputs[0]}, norm.outputs, norm.source);
    folded_.insert(norm.outputs[0]);
  }

  /// Lets an activation overwrite what only it reads, if its maker has made new memory for that.
  void overwrite(Node& node) {
    static const std::set<std::string> activations = {"aten::relu", "aten::relu6", "aten::hardtanh", "aten::hardswish",
                                                      "aten::silu"};
    if (activations.count(node.op) == 0 || !node.overload.empty() || !passes_by(node.inputs[0])) return;
    const NodeId maker = program_.maker(node.inputs[0]);
    if (maker < first_) return;
    const std::string& made_by = program_.node(maker).op;
    const bool new_memory =
        is_convolution(made_by) || made_by == "aten::batch_norm" || folded_.count(node.inputs[0]) > 0;
    if (new_memory) node = make_node(node.op + "_", "", node.inputs, node.outputs, node.source);
  }

  bool has_depthwise_convolution() const {
    return std::any_of(program_.nodes.begin() + first_, program_.nodes.end(), [&](const Node& node) {
      const std::optional<Convolution> convolution = convolution_of(program_, node);
      if (!convolution || !is_tensor(node.inputs[1])) return false;
      const at::Tensor weight = content(node.inputs[1]).toTensor();
      return weight.dim() == 4 && weight.size(0) > 1 && convolution->groups == c10::IValue(weight.size(0));
    });
  }

  /// Whether a node depends on how its input lies in memory.
  bool reads_memory() const {
    return std::any_of(program_.nodes.begin(), program_.nodes.end(),
                       [](const Node& node) { return node.op == "aten::as_strided"; });
  }

  /// A convolution's output is laid out as its weights are. A view that needs another layout must copy.
  void hold_channels_last() {
    for (size_t n = at_index(first_); n < program_.nodes.size(); ++n) {
      Node& node = program_.nodes[n];
      if (node.op == "aten::view" && node.overload.empty()) {
        node = make_node("aten::reshape", "", node.inputs, node.outputs, node.source);
      } else if (node.op == "aten::view_as") {
        node = make_node("aten::reshape_as", "", node.inputs, node.outputs, node.source);
      } else if (is_convolution(node.op) && is_tensor(node.inputs[1]) && is_fixed(node.inputs[1])) {
        const at::Tensor weight = content(node.inputs[1]).toTensor();
        if (weight.dim() == 4)
          node.inputs[1] = program_.add_constant(weight.contiguous(at::MemoryFormat::ChannelsLast));
      }
    }
  }

  Program program_;
  const std::vector<bool>& keep_;
  const NodeId first_;
  std::set<ValueId> folded_;    // what batch norms made that are part of a convolution now
  std::vector<int64_t> reads_;  // by value: how many nodes' inputs it is, and whether the output
};

}  // namespace

Program for_running(const Program& program, const std::vector<bool>& keep, NodeId first) {
  return Rewriter(program, keep, first).run();
}

}  // namespace incite
