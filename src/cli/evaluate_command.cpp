#include "command.hpp"
#include "incite/base/files.hpp"
#include "incite/report/json.hpp"
#include "incite/report/table.hpp"

namespace incite::cli {

void add_evaluate(CLI::App& app, CommonOptions& common) {
  struct Arguments {
    EvaluateOptions options;
    std::string input_scale;
  };
  auto arguments = std::make_shared<Arguments>();
  EvaluateOptions& options = arguments->options;
  CLI::App* verb =
      app.add_subcommand("evaluate", "Measure the modules together against the original, on data of your choice");
  verb->add_option("modules", options.folder, "Folder that 'incite decompose --out' wrote")
      ->required()
      ->type_name("FOLDER");
  verb->add_option("-d,--data", options.data, "Samples and targets, a NumPy archive")
      ->required()
      ->type_name("FILE.npz")
      ->group("Data");
  verb->add_option("--model", options.model, "The original, if it is no longer where it was")
      ->type_name("MODEL.pt")
      ->group("Data");
  verb->add_option("--input-key", options.input_key, "Arrays of samples; default: as decomposed")
      ->type_name("NAMES")
      ->group("Data");
  verb->add_option("--target-key", options.target_key, "Array of targets; default: as decomposed")
      ->type_name("NAME")
      ->group("Data");
  verb->add_option("--input-scale", arguments->input_scale, "Factor on inputs; default: as decomposed")
      ->type_name("NUMBER|auto")
      ->group("Data");
  verb->add_option("--input-shape", options.input_shape, "Shape of one sample; default: as decomposed")
      ->delimiter(',')
      ->type_name("SIZES")
      ->group("Data");
  verb->add_option("--device", options.device, "cpu, cuda or cuda:INDEX")
      ->capture_default_str()
      ->type_name("DEVICE")
      ->group("Machine");
  add_common_options(*verb, common);
  verb->callback([arguments, &common] {
    apply(common);
    if (!arguments->input_scale.empty()) arguments->options.input_scale = parse_scale(arguments->input_scale);
    const ModulesEvaluation result = evaluate_modules(arguments->options, make_progress(common));
    const SourceFile data{arguments->options.data.string(), sha256_of_file(arguments->options.data)};
    print(common, to_json(result.decomposition, result.evaluation, data),
          to_table(result.decomposition, result.evaluation));
  });
}

}  // namespace incite::cli
