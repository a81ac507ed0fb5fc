#include <ATen/ATen.h>

#include "checks.hpp"
#include "incite/base/files.hpp"
#include "incite/decompose.hpp"
#include "incite/program/cost.hpp"
#include "incite/program/device.hpp"
#include "incite/program/executor.hpp"
#include "samples.hpp"
#include "warnings.hpp"

namespace incite {
namespace {

/// What a model's outputs are. Those of one that was composed of modules are log-odds, which no one layer makes: they
/// are read as logits, and so is whatever else nothing tells the kind of.
OutputKind kind_of(const Program& program, const Dataset& data) {
  const Batch two = data.batch(at::arange(2, at::kLong).remainder(data.size()), program.device);
  const OutputKind kind = output_kind(program, analyse(program, sample_values(program, two)));
  return kind == OutputKind::other ? OutputKind::logits : kind;
}

}  // namespace

ModelEvaluation evaluate_model(const EvaluateModelOptions& options, const Progress& progress) {
  const at::Device device = parse_device(options.device);
  DatasetOptions data_options = options.data;
  data_options.target_required = true;
  Dataset data = read_dataset(data_options);
  const Program program = load_model(options.model, data, options.output, device);
  const Batch batch = first_samples(data, device);

  ModelEvaluation result;
  result.outputs = output_count(program, batch);
  result.kind = kind_of(program, data);
  result.task = choose_task(options.task, data, result.kind);
  check_outputs(options.model, result.task, result.outputs);
  TestSet test = truth(program, data, result.task, result.outputs);
  test.samples = at::arange(data.size(), at::kLong);
  result.samples = data.size();
  const at::Tensor outputs = outputs_for(program, data, test.samples, progress);
  if (auto warning = guessing_warning(outputs, result.kind, result.task, test)) result.warnings.push_back(*warning);
  result.measures = measure(outputs, result.kind, result.task, test);
  result.cost = {program.parameter_count(), static_cast<int64_t>(std::filesystem::file_size(options.model)),
                 multiply_adds(program, batch)};
  if (options.latency) result.latency = measure_latency(program, data);
  result.model = {options.model.string(), sha256_of_file(options.model)};
  result.data = {options.data.file.string(), sha256_of_file(options.data.file)};
  return result;
}

}  // namespace incite
