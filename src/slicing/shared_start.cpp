#include "slicing/shared_start.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>

#include "slicing/slice.hpp"

namespace incite {
namespace {

bool all_stay(const std::vector<int32_t>& units, const Selection& keep) {
  return std::all_of(units.begin(), units.end(), [&](int32_t unit) { return unit == no_unit || keep[at_index(unit)]; });
}

/// By node of the original: whether it computes something else in the slice, since it reads a channel that is gone, or
/// makes a tensor of a size that counts channels, such as the first state of a recurrent layer.
std::vector<bool> nodes_that_miss(const Program& program, const UnitMap& map, const Selection& keep) {
  std::vector<bool> misses(program.nodes.size(), false);
  for (const Reader& reader : map.readers) {
    if (!all_stay(map.labels(program.node(reader.node).inputs[reader.input]).units, keep))
      misses[at_index(reader.node)] = true;
  }
  for (const Feedback& feedback : map.feedbacks) {
    if (all_stay(feedback.units, keep)) continue;
    for (size_t n = 0; n < program.nodes.size(); ++n) {
      const std::vector<ValueId>& inputs = program.nodes[n].inputs;
      if (std::find(inputs.begin(), inputs.end(), feedback.weight) != inputs.end()) misses[n] = true;
    }
  }
  for (const SizeArgument& size : map.sizes) {
    const std::vector<ValueId>& outputs = program.node(size.node).outputs;
    const bool unlabelled =
        std::any_of(outputs.begin(), outputs.end(), [&](ValueId id) { return map.labels(id).empty(); });
    if (unlabelled && !all_stay(map.labels(size.value).units, keep)) misses[at_index(size.node)] = true;
  }
  return misses;
}

bool same_content(const Value& a, const Value& b) {
  if (!a.content.isTensor() || !b.content.isTensor()) return true;  // constants that slicing may shrink
  const at::Tensor x = a.content.toTensor(), y = b.content.toTensor();
  if (!x.defined() || !y.defined()) return x.defined() == y.defined();
  return x.is_same(y) || (x.sizes() == y.sizes() && x.scalar_type() == y.scalar_type() && at::equal(x, y));
}

bool is_list(const Value& value) {
  return value.kind == Value::Kind::computed && value.type->kind() == c10::TypeKind::ListType;
}

at::Tensor positions_that_stay(const Labels& labels, const Selection& keep, at::Device device) {
  if (labels.empty() || all_stay(labels.units, keep)) return {};
  std::vector<int64_t> kept;
  for (size_t i = 0; i < labels.units.size(); ++i) {
    if (labels.units[i] == no_unit || keep[at_index(labels.units[i])]) kept.push_back(static_cast<int64_t>(i));
  }
  return at::tensor(kept, at::TensorOptions(at::kLong).device(device));
}

/// The first node of the module that makes what is not the original's.
NodeId first_changed(const Program& program, const UnitMap& map, const Selection& keep, const Program& module) {
  const Program bare = slice(program, map, keep);
  const std::vector<bool> misses = nodes_that_miss(program, map, keep);
  const auto changed = [&](const Node& node) {
    return std::any_of(node.outputs.begin(), node.outputs.end(),
                       [&](ValueId id) {
                         return at_index(id) >= program.values.size() || !program.is_computed(id) ||
                                misses[at_index(program.maker(id))];
                       }) ||
           std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
             return module.value(id).kind == Value::Kind::parameter && !same_content(module.value(id), bare.value(id));
           });
  };
  const auto found = std::find_if(module.nodes.begin(), module.nodes.end(), changed);
  return static_cast<NodeId>(found - module.nodes.begin());
}

}  // namespace

SharedStart shared_start(const Program& program, const UnitMap& map, const Selection& keep, const Program& module,
                         const std::vector<ValueId>& wanted) {
  SharedStart start;
  start.node = first_changed(program, map, keep, module);
  std::vector<bool> made(module.values.size(), false), taken(module.values.size(), false);
  for (const ValueId id : module.inputs)
    made[at_index(id)] = true;
  for (NodeId n = 0; n < start.node; ++n) {
    for (const ValueId id : module.node(n).outputs)
      made[at_index(id)] = true;
  }
  const std::function<void(ValueId)> take = [&](ValueId id) {
    if (!made[at_index(id)] || taken[at_index(id)]) return;
    taken[at_index(id)] = true;
    if (is_list(module.value(id))) {
      const NodeId maker = module.maker(id);
      start.lists.push_back(maker);
      for (const ValueId input : module.node(maker).inputs)
        take(input);
      return;
    }
    start.values.push_back(id);
    start.kept.push_back(positions_that_stay(map.labels(id), keep, program.device));
    start.axes.push_back(map.labels(id).axis);
    if (program.is_computed(id)) start.original = std::max(start.original, program.maker(id) + 1);
  };
  for (size_t n = at_index(start.node); n < module.nodes.size(); ++n) {
    for (const ValueId id : module.nodes[n].inputs)
      take(id);
  }
  take(module.output);
  for (const ValueId id : wanted)
    take(id);
  std::sort(start.lists.begin(), start.lists.end());
  return start;
}

Environment begin_from(const SharedStart& start, const Environment& original, const Executor& executor) {
  Environment environment = executor.resume({});
  for (size_t i = 0; i < start.values.size(); ++i) {
    const c10::IValue& value = original[at_index(start.values[i])];
    environment[at_index(start.values[i])] =
        start.kept[i].defined() ? value.toTensor().index_select(start.axes[i], start.kept[i]) : value;
  }
  for (const NodeId node : start.lists)
    executor.run_node(environment, node);
  return environment;
}

}  // namespace incite
