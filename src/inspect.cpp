#include <ATen/ATen.h>

#include <set>

#include "checks.hpp"
#include "incite/decompose.hpp"
#include "incite/program/device.hpp"
#include "incite/program/executor.hpp"
#include "incite/slicing/slice.hpp"
#include "samples.hpp"

namespace incite {

Inspection inspect(const ModelOptions& options) {
  const at::Device device = parse_device(options.device);
  Dataset data = read_dataset(options.data);
  Inspection inspection;
  Understood model = understand(load_model(options.model, data, options.output, device), data);
  inspection.program = std::move(model.program);
  inspection.map = std::move(model.map);
  inspection.kind = model.kind;
  inspection.outputs = model.outputs;
  Selection least;
  for (const Unit& unit : inspection.map.units)
    least.push_back(unit.pinned);
  for (const size_t span : empty_spans(inspection.map, least))
    least[static_cast<size_t>(inspection.map.spans[span][0])] = true;
  const int64_t all = inspection.program.parameter_count();
  inspection.removable_parameters = all - slice(inspection.program, inspection.map, least).parameter_count();
  DecomposeOptions defaults;
  static_cast<ModelOptions&>(defaults) = options;
  inspection.refusal = refusal(defaults, inspection, data);
  inspection.one_column = !inspection.refusal && inspection.outputs == 1 &&
                          is_one_column(choose_task(std::nullopt, data, inspection.kind, 1), 1);
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
