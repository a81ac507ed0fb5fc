#include "slicing/slice.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/fail.hpp"

namespace incite {
namespace {

bool stays(const Selection& keep, int32_t unit) {
  return unit == no_unit || keep[at_index(unit)];
}

/// Positions whose units stay, int64.
at::Tensor kept_positions(const std::vector<int32_t>& units, const Selection& keep) {
  std::vector<int64_t> kept;
  for (size_t i = 0; i < units.size(); ++i) {
    if (stays(keep, units[i])) kept.push_back(static_cast<int64_t>(i));
  }
  return at::tensor(kept, at::kLong);
}

int64_t shrink(int64_t size, const std::vector<int32_t>& units, const Selection& keep) {
  const auto total = static_cast<int64_t>(units.size());
  const auto kept =
      static_cast<int64_t>(std::count_if(units.begin(), units.end(), [&](int32_t u) { return stays(keep, u); }));
  INCITE_ASSERT(size * kept % total == 0);
  return size * kept / total;
}

/// By position: 0 where its unit is removed, else 1.
at::Tensor zeros_and_ones(const std::vector<int32_t>& units, const Selection& keep) {
  at::Tensor ones = at::zeros({static_cast<int64_t>(units.size())});
  ones.index_fill_(0, kept_positions(units, keep), 1.0);
  return ones;
}

bool any_removed(const std::vector<int32_t>& units, const Selection& keep) {
  return std::any_of(units.begin(), units.end(), [&](int32_t unit) { return !stays(keep, unit); });
}

void check_selection(const UnitMap& map, const Selection& keep) {
  INCITE_ASSERT(keep.size() == map.units.size());
  std::vector<bool> of_head(map.units.size(), false);
  if (map.head >= 0) {
    for (const int32_t unit : map.layer(map.head).units)
      of_head[at_index(unit)] = true;
  }
  for (size_t unit = 0; unit < keep.size(); ++unit)
    INCITE_ASSERT(keep[unit] || !map.units[unit].pinned || of_head[unit]);
  INCITE_ASSERT(empty_spans(map, keep).empty());
}

/// All nodes, each with those to put before and after it.
std::vector<Node> merged(std::vector<std::vector<Node>>& before, std::vector<Node>& nodes,
                         std::vector<std::vector<Node>>& after) {
  std::vector<Node> all;
  for (size_t n = 0; n < nodes.size(); ++n) {
    for (Node& node : before[n])
      all.push_back(std::move(node));
    all.push_back(std::move(nodes[n]));
    for (Node& node : after[n])
      all.push_back(std::move(node));
  }
  return all;
}

/// Writes a program anew, node by node, with its units cut. Values keep their ids; nodes do not.
class Slicer {
 public:
  Slicer(const Program& program, const UnitMap& map, const Selection& keep)
      : map_(map), keep_(keep), sliced_(program), before_(program.nodes.size()), after_(program.nodes.size()) {}

  Program run() {
    cut_parameters();
    shrink_sizes();
    for (const IndexArgument& index : map_.indices)
      move_index(index);
    for (const Crop& crop : map_.crops)
      make_crop(crop);
    for (const Rearrangement& rearrangement : map_.rearrangements)
      rearrange(rearrangement);
    sliced_.nodes = merged(before_, sliced_.nodes, after_);
    sliced_.remove_dead_nodes();
    return std::move(sliced_);
  }

 private:
  Node& node(NodeId id) { return sliced_.node(id); }

  void cut_parameters() {
    for (size_t value = 0; value < map_.parameters.size(); ++value) {
      at::Tensor tensor;
      for (size_t dimension = 0; dimension < map_.parameters[value].size(); ++dimension) {
        const auto& units = map_.parameters[value][dimension];
        if (!any_removed(units, keep_)) continue;
        if (!tensor.defined()) tensor = sliced_.values[value].content.toTensor();
        tensor = tensor.index_select(static_cast<int64_t>(dimension), kept_positions(units, keep_).to(tensor.device()));
      }
      if (tensor.defined()) sliced_.values[value].content = tensor;
    }
  }

  void shrink_sizes() {
    for (const SizeArgument& size : map_.sizes) {
      const auto& units = map_.labels(size.value).units;
      if (!any_removed(units, keep_)) continue;
      const ValueId input = node(size.node).inputs[size.input];
      if (size.element < 0) {
        shrink_integer(size.node, size.input, units);
      } else if (sliced_.is_constant(input)) {
        std::vector<int64_t> sizes = sliced_.value(input).content.toIntVector();
        int64_t& element = sizes[static_cast<size_t>(size.element)];
        element = shrink(element, units, keep_);
        node(size.node).inputs[size.input] = sliced_.add_constant(c10::List<int64_t>(sizes));
      } else {
        shrink_integer(sliced_.maker(input), static_cast<size_t>(size.element), units);
      }
    }
  }

  /// Puts a smaller integer in the place of a node's input: a constant, or what is computed times kept over all.
  void shrink_integer(NodeId id, size_t input, const std::vector<int32_t>& units) {
    const ValueId whole = node(id).inputs[input];
    if (sliced_.is_constant(whole)) {
      node(id).inputs[input] = sliced_.add_constant(shrink(sliced_.value(whole).content.toInt(), units, keep_));
      return;
    }
    const auto all = static_cast<int64_t>(units.size());
    const int64_t kept = kept_positions(units, keep_).numel();
    const std::string source = node(id).source;
    auto& nodes = before_[at_index(id)];
    nodes.push_back(
        make_node(sliced_, "aten::mul", "int", {whole, sliced_.add_constant(kept)}, source, c10::IntType::get()));
    const ValueId product = nodes.back().outputs[0];
    nodes.push_back(
        make_node(sliced_, "aten::floordiv", "int", {product, sliced_.add_constant(all)}, source, c10::IntType::get()));
    node(id).inputs[input] = nodes.back().outputs[0];
  }

  void move_index(const IndexArgument& argument) {
    const auto& units = map_.labels(argument.value).units;
    if (!any_removed(units, keep_)) return;
    ValueId& input = node(argument.node).inputs[argument.input];
    const int64_t named = sliced_.value(input).content.toInt();
    const auto position = named < 0 ? named + static_cast<int64_t>(units.size()) : named;
    const auto before =
        std::count_if(units.begin(), units.begin() + position, [&](int32_t u) { return stays(keep_, u); });
    input = sliced_.add_constant(static_cast<int64_t>(before));
  }

  /// Selects positions of a value along an axis: a slice where they follow one another.
  Node selection(ValueId value, int64_t axis, const std::vector<int64_t>& positions, const std::string& source) {
    bool consecutive = !positions.empty();
    for (size_t i = 1; i < positions.size(); ++i)
      consecutive = consecutive && positions[i] == positions[i - 1] + 1;
    const ValueId dimension = sliced_.add_constant(axis);
    if (consecutive) {
      return make_node(sliced_, "aten::slice", "Tensor",
                       {value, dimension, sliced_.add_constant(positions.front()),
                        sliced_.add_constant(positions.back() + 1), sliced_.add_constant(int64_t{1})},
                       source);
    }
    const at::Tensor index = at::tensor(positions, at::kLong).to(sliced_.device);
    return make_node(sliced_, "aten::index_select", "", {value, dimension, sliced_.add_constant(index)}, source);
  }

  void make_crop(const Crop& crop) {
    if (!any_removed(crop.units, keep_)) return;
    const at::Tensor kept = kept_positions(crop.units, keep_);
    const std::vector<int64_t> positions(kept.data_ptr<int64_t>(), kept.data_ptr<int64_t>() + kept.numel());
    ValueId& input = node(crop.node).inputs[crop.input];
    auto& nodes = before_[at_index(crop.node)];
    nodes.push_back(selection(input, crop.dimension, positions, node(crop.node).source));
    input = nodes.back().outputs[0];
  }

  void rearrange(const Rearrangement& rearrangement) {
    const auto& source = map_.labels(rearrangement.source).units;
    if (!any_removed(source, keep_)) return;
    std::vector<int64_t> place_of(source.size(), -1);  // where a position of the source stands once it is cut
    int64_t next = 0;
    for (size_t i = 0; i < source.size(); ++i) {
      if (stays(keep_, source[i])) place_of[i] = next++;
    }
    std::vector<int64_t> positions;
    for (const int64_t position : rearrangement.positions) {
      if (place_of[static_cast<size_t>(position)] >= 0) positions.push_back(place_of[static_cast<size_t>(position)]);
    }
    const NodeId id = sliced_.maker(rearrangement.value);
    Node made = selection(rearrangement.source, rearrangement.axis, positions, node(id).source);
    // The new node makes the value; the old one's output is read by nobody, and the node dies with it.
    auto& outputs = node(id).outputs;
    std::swap(*std::find(outputs.begin(), outputs.end(), rearrangement.value), made.outputs[0]);
    after_[at_index(id)].push_back(std::move(made));
  }

  const UnitMap& map_;
  const Selection& keep_;
  Program sliced_;
  std::vector<std::vector<Node>> before_, after_;  // nodes to put before and after each
};

double largest(const at::Tensor& tensor) {
  return tensor.abs().max().item<double>();
}

}  // namespace

Program slice(const Program& program, const UnitMap& map, const Selection& keep) {
  check_selection(map, keep);
  return Slicer(program, map, keep).run();
}

Program mask(const Program& program, const UnitMap& map, const Selection& keep) {
  Program masked = program;
  std::vector<std::vector<Node>> before(program.nodes.size()), after(program.nodes.size());
  for (const Feedback& feedback : map.feedbacks) {
    c10::IValue& weight = masked.value(feedback.weight).content;
    weight = weight.toTensor() * zeros_and_ones(feedback.units, keep).to(program.device);
  }
  for (const Reader& reader : map.readers) {
    Node& node = masked.node(reader.node);
    const Labels& labels = map.labels(node.inputs[reader.input]);
    if (labels.empty() || !any_removed(labels.units, keep)) continue;
    const at::Tensor ones = zeros_and_ones(labels.units, keep).to(program.device);
    // Trailing dimensions of size 1 put the mask on the labelled axis.
    std::vector<int64_t> shape(static_cast<size_t>(labels.rank - labels.axis), 1);
    shape[0] = -1;
    ValueId& read = node.inputs[reader.input];
    auto& nodes = before[at_index(reader.node)];
    nodes.push_back(
        make_node(masked, "aten::mul", "Tensor", {read, masked.add_constant(ones.view(shape))}, node.source));
    read = nodes.back().outputs[0];
  }
  masked.nodes = merged(before, masked.nodes, after);
  return masked;
}

namespace {

/// The largest difference of two programs' outputs over the largest output of the first, whole and for the first sample
/// alone.
double largest_difference(const Program& expected, const Program& found, const Batch& batch) {
  const Executor with_mask(expected);
  const Executor with_slice(found);
  double most = 0;
  for (const Batch& part : {batch, batch.narrow(0, 1)}) {
    const at::Tensor masked = with_mask(part);
    const at::Tensor sliced = with_slice(part);
    INCITE_ASSERT(sliced.sizes() == masked.sizes());
    const double difference = largest(sliced - masked) / std::max(largest(masked), 1e-30);
    if (!(difference <= most)) most = difference;  // a NaN must not pass for a small difference
  }
  return most;
}

/// The program with all that is float32 in float64.
Program in_double(Program program) {
  for (Value& value : program.values) {
    if (value.content.isTensor() && value.content.toTensor().defined() && value.content.toTensor().is_floating_point())
      value.content = value.content.toTensor().to(at::kDouble);
  }
  return program;
}

/// Whether float64 shows that a difference was rounding. A program that names float32 itself can't tell.
bool is_rounding(const Program& masked, const Program& sliced, const Batch& batch, double& difference) {
  const auto twice = [](const at::Tensor& input) { return input.is_floating_point() ? input.to(at::kDouble) : input; };
  try {
    const double exact = largest_difference(in_double(masked), in_double(sliced), batch.each(twice));
    if (!(exact <= 1e-9)) return false;
    difference = exact;
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

double slice_difference(const Program& program, const UnitMap& map, const Selection& keep, const Program& sliced,
                        const Batch& batch) {
  const at::NoGradGuard no_grad;
  const Program masked = mask(program, map, keep);
  double difference = largest_difference(masked, sliced, batch);
  if (!(difference <= slice_tolerance)) is_rounding(masked, sliced, batch, difference);
  return difference;
}

}  // namespace incite
