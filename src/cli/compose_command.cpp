#include <unistd.h>

#include "base/fail.hpp"
#include "cli/command.hpp"
#include "cli/text.hpp"
#include "incite/compose.hpp"
#include "report/composition.hpp"

namespace incite::cli {
namespace {

struct ComposeArguments {
  ComposeOptions options;
  std::string input_layout;
  std::string format;
  std::vector<std::string> replace;  // "3=other/module-3.pt"
};

std::pair<std::string, std::filesystem::path> parse_replacement(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    fail(ExitCode::usage, "--replace {}: expected a column's name and a module file, such as 3=other/module-3.pt",
         text);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void run(ComposeArguments& arguments, CommonOptions& common) {
  for (const std::string& text : arguments.replace)
    arguments.options.replace.push_back(parse_replacement(text));
  if (arguments.options.input_key && arguments.options.data.empty()) {
    fail(ExitCode::usage, "--input-key names arrays of --data; expected --data as well");
  }
  arguments.options.input_layout = parse_layout(arguments.input_layout);
  if (arguments.options.input_layout && arguments.options.data.empty()) {
    fail(ExitCode::usage, "--input-layout describes the images of --data; expected --data as well");
  }
  if (!arguments.format.empty()) arguments.options.format = *named<FileFormat>(arguments.format);
  const Composition composition = compose(arguments.options, make_progress(common));
  print(common, to_json(composition), to_table(composition, columns_of(STDOUT_FILENO)));
}

}  // namespace

void add_compose(CLI::App& app, CommonOptions& common) {
  auto arguments = std::make_shared<ComposeArguments>();
  ComposeOptions& options = arguments->options;
  CLI::App* verb = app.add_subcommand(
      "compose", "Join modules of one or several models into one model: reuse, replace or leave out outputs");
  verb->add_option(
          "modules", options.modules,
          "Module files, or folders written by 'incite decompose' (all of their modules), in the order of the outputs")
      ->required()
      ->type_name("MODULE.pt|FOLDER");
  verb->add_option("-o,--out", options.out, "File to write: a model with one output per module")
      ->required()
      ->type_name("FILE.pt")
      ->group("Output");
  add_format_option(*verb, arguments->format);
  verb->add_flag("--force", options.force, "Replace the file if it exists")->group("Output");
  verb->add_option("--names", options.names,
                   "Names of the outputs, such as cat,dog; default: their numbers in the original models")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->group("Modules");
  verb->add_option("--replace", arguments->replace,
                   "Replace one module by another, such as 3=other/module-3.pt; may be repeated")
      ->allow_extra_args(false)
      ->type_name("NAME=MODULE.pt")
      ->group("Modules");
  verb->add_option("--remove", options.remove, "Modules to leave out, by their default names, such as 3,7")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAMES")
      ->group("Modules");
  verb->add_option("-d,--data", options.data,
                   "Samples that all modules accept, to check them on; default: the data of their decompositions")
      ->type_name("FILE.npz")
      ->group("Data");
  verb->add_option("--input-key", options.input_key, "Names of the arrays of samples in --data; default: as decomposed")
      ->type_name("NAMES")
      ->group("Data");
  add_layout_option(*verb, arguments->input_layout, "; default: as decomposed");
  add_common_options(*verb, common);
  verb->callback([arguments, &common] {
    apply(common);
    run(*arguments, common);
  });
}

}  // namespace incite::cli
