#include "units/counts.hpp"

#include <ATen/ATen.h>

#include <set>

namespace incite {

std::vector<int32_t> layers_of(const UnitMap& map, const std::vector<int32_t>& units) {
  std::set<int32_t> layers;
  for (const int32_t unit : units) {
    for (const Unit::Member& member : map.unit(unit).members)
      layers.insert(member.layer);
  }
  return {layers.begin(), layers.end()};
}

int64_t group_parameters(const Program& program, const UnitMap& map, const Group& group) {
  std::set<ValueId> counted;
  const auto count = [&](ValueId value) {
    if (program.is_parameter(value) && !program.value(value).is_buffer) counted.insert(value);
  };
  for (const int32_t l : group.layers) {
    for (const ValueId input : program.node(map.layer(l).node).inputs) {
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

int64_t whole_parameters(const Program& program, const WholeLayer& layer) {
  int64_t elements = 0;
  for (const ValueId parameter : layer.parameters)
    elements += program.value(parameter).content.toTensor().numel();
  return elements;
}

}  // namespace incite
