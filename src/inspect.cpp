#include <ATen/ATen.h>

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
  inspection.program = load_model(options.model, data, options.output, device);
  const Batch two = data.batch(at::arange(2, at::kLong).remainder(data.size()), device);
  inspection.map = analyse(inspection.program, sample_values(inspection.program, two));
  inspection.kind = output_kind(inspection.program, inspection.map);
  inspection.outputs = output_count(inspection.program, two);
  Selection least;
  for (const Unit& unit : inspection.map.units)
    least.push_back(unit.pinned);
  for (const size_t span : empty_spans(inspection.map, least))
    least[static_cast<size_t>(inspection.map.spans[span][0])] = true;
  const int64_t all = inspection.program.parameter_count();
  inspection.removable_parameters = all - slice(inspection.program, inspection.map, least).parameter_count();
  return inspection;
}

}  // namespace incite
