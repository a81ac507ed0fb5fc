#include <ATen/ATen.h>

#include "base/fail.hpp"
#include "evaluation/latency.hpp"
#include "evaluation/result_warnings.hpp"
#include "incite/decompose.hpp"
#include "incite/evaluate.hpp"
#include "program/cost.hpp"
#include "program/device.hpp"
#include "program/load.hpp"
#include "report/json.hpp"
#include "store/document.hpp"
#include "store/files.hpp"
#include "store/module_identity.hpp"
#include "store/result_folder.hpp"
#include "subject/checks.hpp"
#include "subject/samples.hpp"
#include "subject/warnings.hpp"

namespace incite {
namespace {

int64_t bytes_of(const std::filesystem::path& file) {
  return static_cast<int64_t>(std::filesystem::file_size(file));
}

/// The file of the original. Throws Error (model_file, data_mismatch) if it is missing or another model.
std::filesystem::path original_file(const EvaluateOptions& options, const Decomposition& decomposition) {
  std::filesystem::path file = options.model.empty() ? std::filesystem::path(decomposition.model.file) : options.model;
  if (!std::filesystem::exists(file)) {
    fail(ExitCode::model_file, "{}: the original model is not there; pass its file with --model", file.string());
  }
  if (sha256_of_file(file) != decomposition.model.sha256) {
    fail(ExitCode::data_mismatch,
         "{}: not the model that {} was decomposed from (the SHA-256 differs); pass that model with --model",
         file.string(), options.folder.string());
  }
  return file;
}

/// Reports the progress of one of several runs over the same samples as progress of all.
Progress part_of(const Progress& progress, size_t run, size_t runs) {
  if (!progress) return {};
  return [&progress, run, runs](ProgressEvent event) {
    event.done += event.total * static_cast<int64_t>(run);
    event.total *= static_cast<int64_t>(runs);
    event.unit = "module-samples";
    progress(event);
  };
}

}  // namespace

ModulesEvaluation evaluate_modules(const EvaluateOptions& options, const Progress& progress) {
  const at::Device device = parse_device(options.device);
  ModulesEvaluation result;
  result.decomposition = read_decomposition(options.folder / document_name);
  Decomposition& decomposition = result.decomposition;
  Dataset data = read_to_evaluate(options, reading_of(identity_of(decomposition, decomposition.modules.front())));
  const std::filesystem::path file = original_file(options, decomposition);
  Program original = load_model(file, data, decomposition.output, device);
  settle_positions(data, original, most_measured_outputs, /*seed=*/0);
  const Batch batch = first_samples(data, device);
  decomposition.bytes = bytes_of(file);
  decomposition.multiply_adds = multiply_adds(original, batch);
  if (options.latency) result.latency = LatencyResult{measure_latency(original, data), {}, {0, 0}};
  decomposition.one_column = is_one_column(decomposition.task, output_count(original, batch));
  if (decomposition.one_column) original = as_two_columns(file, original, data).program;
  TestSet test = truth(original, data, decomposition.task, decomposition.kind, decomposition.outputs);
  test.samples = at::arange(data.size(), at::kLong);

  const size_t runs = decomposition.modules.size() + 1;
  const at::Tensor outputs = outputs_for(original, data, test.samples, part_of(progress, 0, runs));

  std::vector<at::Tensor> columns;
  std::vector<OutputSet> measured;
  for (size_t i = 0; i < decomposition.modules.size(); ++i) {
    ModuleResult& module = decomposition.modules[i];
    const Program program = load_program(options.folder / module.file, batch);
    const ModuleToTest tested = {module.set, &program, decomposition.own_heads};
    const Progress part = part_of(progress, i + 1, runs);
    // A column is contiguous, since it is read by itself.
    columns.push_back(module_scores(tested, decomposition.kind, decomposition.task, test, part).t().contiguous());
    measured.push_back(module.set);
    module.bytes = bytes_of(options.folder / module.file);
    module.multiply_adds = multiply_adds(program, batch);
    if (!result.latency) continue;
    result.latency->modules.push_back(measure_latency(program, data));
    result.latency->together += result.latency->modules.back();
  }
  if (auto warning = guessing_warning(outputs, decomposition.kind, decomposition.task, test))
    result.warnings.push_back(*warning);
  result.evaluation = evaluate(outputs, at::cat(columns).t(), measured, decomposition.kind, decomposition.task, test);
  if (result.evaluation.samples == 0) {
    fail(ExitCode::data_mismatch, "{}: no sample is of a class with a module; expected samples of these classes",
         data.file);
  }
  const std::string remedy = "decompose again with --max-loss, --finetune or a smaller --target-compression";
  if (auto warning = loss_warning(result.evaluation, remedy)) result.warnings.push_back(*warning);
  result.data = {options.data.string(), sha256_of_file(options.data)};
  return result;
}

}  // namespace incite
