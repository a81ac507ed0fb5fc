#include "incite/slicing/slice.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "incite/base/error.hpp"

namespace incite {
namespace {

bool stays(const Selection& keep, int32_t unit) {
  return unit == no_unit || keep[static_cast<size_t>(unit)];
}

/// Positions whose units stay, int64.
at::Tensor kept_positions(const std::vector<int32_t>& units, const Selection& keep) {
  std::vector<int64_t> kept;
  for (size_t i = 0; i < units.size(); ++i) {
    if (stays(keep, units[i])) kept.push_back(static_cast<int64_t>(i));
  }
  return at::tensor(kept, at::kLong);
}

void check_selection(const UnitMap& map, const Selection& keep) {
  INCITE_ASSERT(keep.size() == map.units.size());
  for (const Layer& layer : map.layers) {
    const bool is_head = map.head >= 0 && &layer == &map.layers[static_cast<size_t>(map.head)];
    bool any = false;
    for (const int32_t unit : layer.units) {
      INCITE_ASSERT(is_head || keep[static_cast<size_t>(unit)] || !map.units[static_cast<size_t>(unit)].pinned);
      any = any || keep[static_cast<size_t>(unit)];
    }
    INCITE_ASSERT(any);
  }
}

void cut_parameters(Program& program, const UnitMap& map, const Selection& keep) {
  for (size_t value = 0; value < map.parameters.size(); ++value) {
    at::Tensor tensor;
    for (size_t dimension = 0; dimension < map.parameters[value].size(); ++dimension) {
      const auto& units = map.parameters[value][dimension];
      if (std::all_of(units.begin(), units.end(), [&](int32_t unit) { return stays(keep, unit); })) continue;
      if (!tensor.defined()) tensor = program.values[value].content.toTensor();
      tensor = tensor.index_select(static_cast<int64_t>(dimension), kept_positions(units, keep).to(tensor.device()));
    }
    if (tensor.defined()) program.values[value].content = tensor;
  }
}

int64_t shrink(int64_t size, const std::vector<int32_t>& units, const Selection& keep) {
  const auto total = static_cast<int64_t>(units.size());
  const auto kept =
      static_cast<int64_t>(std::count_if(units.begin(), units.end(), [&](int32_t u) { return stays(keep, u); }));
  INCITE_ASSERT(size * kept % total == 0);
  return size * kept / total;
}

/// The node that makes a value.
Node& maker(Program& program, ValueId value) {
  for (Node& node : program.nodes) {
    if (std::find(node.outputs.begin(), node.outputs.end(), value) != node.outputs.end()) return node;
  }
  throw std::logic_error("a value that no node makes");
}

/// Makes the integer that `input` names a constant of its own, shrunk.
void shrink_integer(Program& program, ValueId& input, const std::vector<int32_t>& units, const Selection& keep) {
  INCITE_ASSERT(program.is_constant(input));
  input = program.add_constant(shrink(program.value(input).content.toInt(), units, keep));
}

void shrink_sizes(Program& program, const UnitMap& map, const Selection& keep) {
  for (const SizeArgument& size : map.sizes) {
    const auto& units = map.activations[static_cast<size_t>(size.value)].units;
    if (std::all_of(units.begin(), units.end(), [&](int32_t unit) { return stays(keep, unit); })) continue;
    Node& node = program.nodes[static_cast<size_t>(size.node)];
    ValueId& input = node.inputs[size.input];
    if (size.element < 0) {
      shrink_integer(program, input, units, keep);
    } else if (program.is_constant(input)) {
      std::vector<int64_t> sizes = program.value(input).content.toIntVector();
      int64_t& element = sizes[static_cast<size_t>(size.element)];
      element = shrink(element, units, keep);
      input = program.add_constant(c10::List<int64_t>(sizes));
    } else {
      shrink_integer(program, maker(program, input).inputs[static_cast<size_t>(size.element)], units, keep);
    }
  }
}

double largest(const at::Tensor& tensor) {
  return tensor.abs().max().item<double>();
}

}  // namespace

Program slice(const Program& program, const UnitMap& map, const Selection& keep) {
  check_selection(map, keep);
  Program sliced = program;
  cut_parameters(sliced, map, keep);
  shrink_sizes(sliced, map, keep);
  return sliced;
}

Program mask(const Program& program, const UnitMap& map, const Selection& keep) {
  Program masked = program;
  std::vector<std::vector<Node>> before(program.nodes.size());
  const Operation multiply = find_operation("aten::mul", "Tensor");
  for (const Reader& reader : map.readers) {
    Node& node = masked.nodes[static_cast<size_t>(reader.node)];
    const Labels& labels = map.activations[static_cast<size_t>(node.inputs[reader.input])];
    if (labels.empty() ||
        std::all_of(labels.units.begin(), labels.units.end(), [&](int32_t u) { return stays(keep, u); }))
      continue;
    at::Tensor ones = at::zeros({static_cast<int64_t>(labels.units.size())}, program.device);
    ones.index_fill_(0, kept_positions(labels.units, keep).to(program.device), 1.0);
    Node multiplication;
    multiplication.op = "aten::mul";
    multiplication.overload = "Tensor";
    multiplication.run = multiply;
    multiplication.source = node.source;
    const ValueId read = node.inputs[reader.input];
    Value product;
    product.type = c10::TensorType::get();
    multiplication.outputs = {masked.add(std::move(product))};
    // Trailing dimensions of size 1 put the mask on the labelled axis.
    std::vector<int64_t> shape(static_cast<size_t>(labels.rank - labels.axis), 1);
    shape[0] = -1;
    multiplication.inputs = {read, masked.add_constant(ones.view(shape))};
    node.inputs[reader.input] = multiplication.outputs[0];
    before[static_cast<size_t>(reader.node)].push_back(std::move(multiplication));
  }
  std::vector<Node> nodes;
  for (size_t n = 0; n < masked.nodes.size(); ++n) {
    for (Node& node : before[n])
      nodes.push_back(std::move(node));
    nodes.push_back(std::move(masked.nodes[n]));
  }
  masked.nodes = std::move(nodes);
  return masked;
}

SliceCheck check_slice(const Program& program, const UnitMap& map, const Selection& keep, const Program& sliced,
                       const Batch& batch) {
  const at::NoGradGuard no_grad;
  const Program masked = mask(program, map, keep);
  const Executor original(program);
  const Executor with_mask(masked);
  const Executor with_slice(sliced);
  SliceCheck check;
  for (const Batch& part : {batch, batch.narrow(0, 1)}) {
    const at::Tensor expected = with_mask(part);
    const at::Tensor found = with_slice(part);
    INCITE_ASSERT(found.sizes() == expected.sizes());
    const double difference = largest(found - expected) / std::max(largest(expected), 1e-30);
    // A NaN must not pass for a small difference.
    if (!(difference <= check.difference)) check.difference = difference;
    check.moved = check.moved || !expected.equal(original(part));
  }
  return check;
}

}  // namespace incite
