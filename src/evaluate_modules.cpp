#include <ATen/ATen.h>

#include "incite/base/error.hpp"
#include "incite/base/files.hpp"
#include "incite/decompose.hpp"
#include "incite/program/device.hpp"
#include "incite/program/load.hpp"
#include "incite/report/json.hpp"
#include "result_folder.hpp"
#include "samples.hpp"

namespace incite {

ModulesEvaluation evaluate_modules(const EvaluateOptions& options, const Progress& progress) {
  const at::Device device = parse_device(options.device);
  ModulesEvaluation result;
  result.decomposition = read_decomposition(options.folder / document_name);
  const Decomposition& made = result.decomposition;
  DatasetOptions data_options;
  data_options.file = options.data;
  data_options.input_key = options.input_key.value_or(made.input_key);
  data_options.target_key = options.target_key.value_or(made.target_key);
  data_options.target_required = true;
  data_options.input_scale = options.input_scale ? options.input_scale : made.input_scale;
  data_options.input_shape = options.input_shape.empty() ? made.input_shape : options.input_shape;
  Dataset data = read_dataset(data_options);

  const std::filesystem::path file = options.model.empty() ? std::filesystem::path(made.model.file) : options.model;
  if (!std::filesystem::exists(file)) {
    fail(ExitCode::model_file, "{}: the original model is not there; say where it is with --model", file.string());
  }
  if (sha256_of_file(file) != made.model.sha256) {
    fail(ExitCode::data_mismatch,
         "{}: not the model that {} was decomposed from (its SHA-256 differs); pass that one with --model",
         file.string(), options.folder.string());
  }
  const Program original = load_model(file, data, made.output, device);
  const Batch batch = first_samples(data, device);
  std::vector<Program> programs;
  for (const ModuleResult& module : made.modules)
    programs.push_back(load_program(options.folder / module.file, batch));
  std::vector<ModuleToTest> modules;
  for (size_t i = 0; i < programs.size(); ++i)
    modules.push_back({made.modules[i].output, &programs[i], made.own_heads});
  TestSet test = truth(original, data, made.task, made.outputs);
  test.samples = at::arange(data.size(), at::kLong);
  result.evaluation = evaluate(original, modules, made.kind, made.task, test, progress);
  return result;
}

}  // namespace incite
