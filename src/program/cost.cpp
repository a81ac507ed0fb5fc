#include "program/cost.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <unordered_map>

#include "program/convolution.hpp"
#include "program/executor.hpp"

namespace incite {
namespace {

double product(std::vector<int64_t>::const_iterator first, std::vector<int64_t>::const_iterator last) {
  return std::accumulate(first, last, 1.0, [](double made, int64_t size) { return made * static_cast<double>(size); });
}

/// A node whose multiply-adds are counted.
struct Counted {
  const Program& program;
  const Node& node;
  const ShapeOf& shape;

  const std::vector<int64_t>& input(size_t i) const { return shape(node.inputs[i]); }
  const std::vector<int64_t>& output() const { return shape(node.outputs[0]); }
  /// The values of a list that a node reads; none where it is not made by a node.
  std::vector<ValueId> list(size_t i) const {
    if (!program.is_computed(node.inputs[i])) return {};
    const Node& maker = program.node(program.maker(node.inputs[i]));
    return maker.op == "prim::ListConstruct" ? maker.inputs : std::vector<ValueId>();
  }
};

double elements(const std::vector<int64_t>& sizes) {
  return sizes.empty() ? 0 : product(sizes.begin(), sizes.end());
}

/// Of a weight: what one of its rows holds.
double row(const std::vector<int64_t>& weight) {
  return weight.size() < 2 ? elements(weight) : product(weight.begin() + 1, weight.end());
}

/// Each output is a sum over a row of the weight.
double by_output(const Counted& c) {
  return elements(c.output()) * row(c.input(1));
}

/// Each input goes, times a row of the weight [inputs, outputs / groups, ...], to the outputs.
double by_input(const Counted& c) {
  return elements(c.input(0)) * row(c.input(1));
}

double convolution(const Counted& c) {
  return convolution_of(c.program, c.node)->transposed ? by_input(c) : by_output(c);
}

template <size_t first>
double matrix_product(const Counted& c) {
  const std::vector<int64_t>& left = c.input(first);
  return left.empty() ? 0 : elements(c.output()) * static_cast<double>(left.back());
}

/// query · keyᵀ, then that times value: [..., queries, features], [..., keys, features], [..., keys, values].
double attention(const Counted& c) {
  if (c.input(1).size() < 2) return 0;
  const auto keys = static_cast<double>(c.input(1)[c.input(1).size() - 2]);
  return (elements(c.input(0)) + elements(c.output())) * keys;
}

/// Every weight matrix, of the input as of the state, is taken once for each step.
double recurrent(const Counted& c) {
  const std::vector<int64_t>& input = c.input(0);
  if (input.empty() || c.node.overload != "input") return 0;
  const double steps = product(input.begin(), input.end() - 1);
  double weights = 0;
  for (const ValueId weight : c.list(2))
    weights += c.shape(weight).size() == 2 ? elements(c.shape(weight)) : 0;
  return steps * weights;
}

/// The size of each letter, multiplied, where an equation has two operands and no ellipsis.
double einsum(const Counted& c) {
  const c10::IValue& text = c.program.value(c.node.inputs[0]).content;
  const std::vector<ValueId> operands = c.list(1);
  if (!text.isString() || operands.size() != 2) return 0;
  const std::string& equation = text.toStringRef();
  if (equation.find('.') != std::string::npos) return 0;
  std::map<char, int64_t> sizes;
  size_t operand = 0;
  size_t axis = 0;
  for (const char letter : equation.substr(0, equation.find("->"))) {
    if (letter == ' ') continue;
    if (letter == ',') {
      ++operand;
      axis = 0;
      continue;
    }
    const std::vector<int64_t>& shape = c.shape(operands[std::min<size_t>(operand, 1)]);
    if (axis >= shape.size()) return 0;
    sizes[letter] = std::max(sizes[letter], shape[axis++]);
  }
  return std::accumulate(sizes.begin(), sizes.end(), 1.0,
                         [](double made, const auto& entry) { return made * static_cast<double>(entry.second); });
}

using Count = double (*)(const Counted&);

Count count_of(const std::string& op) {
  if (is_convolution(op)) return convolution;
  static const std::unordered_map<std::string, Count> counts = {
      {"aten::linear", by_output},
      {"aten::matmul", matrix_product<0>},
      {"aten::mm", matrix_product<0>},
      {"aten::bmm", matrix_product<0>},
      {"aten::baddbmm", matrix_product<1>},
      {"aten::addmm", matrix_product<1>},
      {"aten::einsum", einsum},
      {"aten::scaled_dot_product_attention", attention},
      {"aten::lstm", recurrent},
      {"aten::gru", recurrent},
      {"aten::rnn_tanh", recurrent},
      {"aten::rnn_relu", recurrent},
  };
  const auto found = counts.find(op);
  return found == counts.end() ? nullptr : found->second;
}

/// The shapes for one sample: an axis that holds the samples counts what one of them makes.
std::vector<std::vector<int64_t>> shapes_of_one(const Sample& sample, int64_t samples) {
  std::vector<std::vector<int64_t>> shapes = sample.shapes;
  for (size_t v = 0; v < shapes.size(); ++v) {
    if (sample.batch_axes[v] >= 0) shapes[v][static_cast<size_t>(sample.batch_axes[v])] /= samples;
  }
  return shapes;
}

}  // namespace

double multiply_adds(const Program& program, NodeId id, const ShapeOf& shape) {
  const Node& node = program.node(id);
  const Count count = count_of(node.op);
  return count == nullptr ? 0 : count({program, node, shape});
}

double multiply_adds(const Program& program, const Batch& batch) {
  const auto shapes = shapes_of_one(sample_values(program, batch), batch.samples());
  const ShapeOf shape = [&](ValueId v) -> const std::vector<int64_t>& { return shapes[at_index(v)]; };
  double sum = 0;
  for (size_t n = 0; n < program.nodes.size(); ++n)
    sum += multiply_adds(program, static_cast<NodeId>(n), shape);
  return sum;
}

}  // namespace incite
