#include <filesystem>

#include "base/fail.hpp"
#include "cli/command.hpp"
#include "incite/evaluate.hpp"
#include "report/evaluation_table.hpp"
#include "report/json.hpp"
#include "verbs/decompose/options.hpp"

namespace incite::cli {
namespace {

/// Options for both kinds of operand: a decomposition's folder, or a model file by itself.
struct EvaluateArguments {
  std::filesystem::path path;
  EvaluateOptions options;
  std::string input_scale;
  std::string input_layout;
  std::string task = "auto";
  std::string output;
};

/// A missing path counts as a model if it ends in .pt, so that the error is about a model file.
bool is_model(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return false;
  return std::filesystem::exists(path, error) || path.extension() == ".pt";
}

void add_data_options(CLI::App& verb, EvaluateArguments& a) {
  EvaluateOptions& options = a.options;
  verb.add_option("-d,--data", options.data, "Samples and targets in a NumPy archive")
      ->required()
      ->type_name("FILE.npz")
      ->group("Data");
  verb.add_option("--model", options.model, "For a folder: the original model, if its file has moved")
      ->type_name("MODEL.pt")
      ->group("Data");
  verb.add_option("--input-key", options.input_key, "Names of the arrays of samples; default: as decomposed, or x")
      ->type_name("NAMES")
      ->group("Data");
  verb.add_option("--target-key", options.target_key, "Name of the array of targets; default: as decomposed, or y")
      ->type_name("NAME")
      ->group("Data");
  verb.add_option("--input-scale", a.input_scale,
                  "Factor for inputs that are passed as float32; default: as decomposed, or auto")
      ->type_name("NUMBER|auto")
      ->group("Data");
  verb.add_option("--input-shape", options.input_shape,
                  "Shape of one sample; default: as decomposed, or as in the archive")
      ->delimiter(',')
      ->type_name("SIZES")
      ->group("Data");
  add_layout_option(verb, a.input_layout, "; default: as decomposed, or as-stored");
  choice(verb, "--task", a.task, {"auto", "classification", "multilabel", "regression"},
         "For a model file: its task; auto: inferred from the targets", "Data");
  verb.add_option("--output", a.output,
                  "For a model file: tensor to use if it returns a tuple, list or dict; default: the only one")
      ->type_name("NAME|INDEX")
      ->group("Data");
}

void refuse(const CLI::App& verb, const std::vector<std::string>& names, const std::string& why) {
  for (const std::string& name : names) {
    if (verb.get_option(name)->count() > 0) fail(ExitCode::usage, "{0}: {1}; leave out {0}", name, why);
  }
}

EvaluateModelOptions model_options(const EvaluateArguments& a) {
  EvaluateModelOptions options;
  static_cast<EvaluationOptions&>(options) = a.options;
  options.model = a.path;
  options.output = a.output;
  if (a.task != "auto") options.task = named<Task>(a.task);
  return options;
}

void run(const CLI::App& verb, EvaluateArguments& a, CommonOptions& common) {
  if (!a.input_scale.empty()) a.options.input_scale = parse_scale(a.input_scale);
  a.options.input_layout = parse_layout(a.input_layout);
  if (is_model(a.path)) {
    refuse(verb, {"--model"}, "the first argument is already a model");
    const ModelEvaluation result = evaluate_model(model_options(a), make_progress(common));
    return print(common, to_json(result), to_table(result), result.warnings);
  }
  refuse(verb, {"--task", "--output"}, "the modules of a folder keep the task and output that they were made for");
  a.options.folder = a.path;
  const ModulesEvaluation result = evaluate_modules(a.options, make_progress(common));
  print(common, to_json(result), to_table(result), result.warnings);
}

}  // namespace

void add_evaluate(CLI::App& app, CommonOptions& common) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* verb = app.add_subcommand(
      "evaluate",
      "Measure a decomposition's modules against the original, or a model, module or composition by itself, on data of "
      "your choice");
  verb->add_option("modules", arguments->path, "Folder written by 'incite decompose', or a TorchScript or .pt2 file")
      ->required()
      ->type_name("FOLDER|MODEL.pt");
  add_data_options(*verb, *arguments);
  verb->add_option("--device", arguments->options.device, "Device to run on: cpu, cuda or cuda:INDEX")
      ->capture_default_str()
      ->type_name("DEVICE")
      ->group("Machine");
  verb->add_flag("--latency", arguments->options.latency,
                 fmt::format("Also measure milliseconds for batches of {} and {}", small_batch, large_batch))
      ->group("Output");
  add_common_options(*verb, common);
  verb->callback([arguments, verb, &common] {
    apply(common);
    run(*verb, *arguments, common);
  });
}

}  // namespace incite::cli
