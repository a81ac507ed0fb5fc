#include <ATen/ATen.h>

#include <set>

#include "checks.hpp"
#include "incite/decompose.hpp"
#include "incite/program/device.hpp"
#include "incite/program/executor.hpp"
#include "incite/selection/select.hpp"
#include "incite/slicing/head.hpp"
#include "incite/slicing/slice.hpp"
#include "samples.hpp"

namespace incite {
namespace {

std::optional<Task> task_of(const Dataset& data, OutputKind kind, int64_t outputs) {
  try {
    return choose_task(std::nullopt, data, kind, outputs);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// Rows of the head that decompose gives a module by default; 0: it can't give it one, so the model's own must stay.
int64_t rows_of_own_head(const Program& program, const UnitMap& map, std::optional<Task> task) {
  if (!task) return 0;
  try {
    fittable_head(program, map, *task);
    return head_rows(HeadMethod::lbfgs, *task);
  } catch (const Error&) {
    return 0;
  }
}

/// The smallest module, of the program that decompose works on.
void count_smallest(const ModelOptions& options, const Dataset& data, Inspection& inspection) {
  const auto count = [&](const Program& program, const UnitMap& map) {
    const int64_t rows = rows_of_own_head(program, map, inspection.task);
    inspection.own_head = rows > 0;
    inspection.smallest_module = ParameterCount(program, map, rows)(smallest_selection(map));
  };
  if (!inspection.one_column) return count(inspection.program, inspection.map);
  const Understood two = as_two_columns(options.model, inspection.program, data);
  count(two.program, two.map);
}

}  // namespace

Inspection inspect(const ModelOptions& options) {
  const at::Device device = parse_device(options.device);
  Dataset data = read_dataset(options.data);
  Inspection inspection;
  Understood model = understand(load_model(options.model, data, options.output, device), data);
  inspection.program = std::move(model.program);
  inspection.map = std::move(model.map);
  inspection.kind = model.kind;
  inspection.outputs = model.outputs;
  const Selection least = smallest_selection(inspection.map);
  const int64_t all = inspection.program.parameter_count();
  inspection.removable_parameters = all - slice(inspection.program, inspection.map, least).parameter_count();
  DecomposeOptions defaults;
  static_cast<ModelOptions&>(defaults) = options;
  inspection.task = task_of(data, inspection.kind, inspection.outputs);
  inspection.refusal = refusal(defaults, inspection, data, inspection.warnings);
  inspection.one_column = !inspection.refusal && inspection.task && is_one_column(*inspection.task, inspection.outputs);
  count_smallest(options, data, inspection);
  return inspection;
}

std::vector<int32_t> layers_of(const UnitMap& map, const std::vector<int32_t>& units) {
  std::set<int32_t> layers;
  for (const int32_t unit : units) {
    for (const Unit::Member& member : map.units[static_cast<size_t>(unit)].members)
      layers.insert(member.layer);
  }
  return {layers.begin(), layers.end()};
}

int64_t group_parameters(const Inspection& inspection, const Group& group) {
  const Program& program = inspection.program;
  std::set<ValueId> counted;
  const auto count = [&](ValueId value) {
    if (program.is_parameter(value) && !program.value(value).is_buffer) counted.insert(value);
  };
  for (const int32_t l : group.layers) {
    for (const ValueId input : program.node(inspection.map.layers[static_cast<size_t>(l)].node).inputs) {
      count(input);
      if (!program.is_computed(input)) continue;
      const Node& maker = program.node(program.maker(input));
      if (maker.op != "prim::ListConstruct") continue;  // a recurrent layer's weights are in a list
      for (const ValueId element : maker.inputs)
        count(element);
    }
  }
  int64_t elements = 0;
  for (const ValueId parameter : counted)
    elements += program.value(parameter).content.toTensor().numel();
  return elements;
}

int64_t whole_parameters(const Inspection& inspection, const WholeLayer& layer) {
  int64_t elements = 0;
  for (const ValueId parameter : layer.parameters)
    elements += inspection.program.value(parameter).content.toTensor().numel();
  return elements;
}

}  // namespace incite
