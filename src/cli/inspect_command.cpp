#include <unistd.h>

#include "base/fail.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/text.hpp"
#include "incite/inspect.hpp"
#include "report/dot.hpp"
#include "report/inspection_table.hpp"
#include "report/json.hpp"
#include "store/files.hpp"

namespace incite::cli {
namespace {

struct InspectArguments {
  GivenOptions given;
  ModelOptions options;
  InspectionTableParams table;
  std::filesystem::path dot;
};

/// The file to write. Links are followed: renaming the finished file into place would replace the link itself.
std::filesystem::path dot_file(const InspectArguments& arguments) {
  std::error_code error;
  std::filesystem::path file = std::filesystem::is_symlink(arguments.dot, error)
                                   ? std::filesystem::weakly_canonical(arguments.dot, error)
                                   : arguments.dot;
  const bool taken = std::filesystem::exists(file, error) && !std::filesystem::is_regular_file(file, error);
  if (taken || !file.has_filename()) {
    fail(ExitCode::output, "--dot {}: not the name of a file; expected one such as model.dot", arguments.dot.string());
  }
  for (const std::filesystem::path& input : {arguments.options.model, arguments.options.data.file}) {
    if (std::filesystem::equivalent(file, input, error)) {
      fail(ExitCode::output, "--dot {}: is the model or the data; expected the name of another file",
           arguments.dot.string());
    }
  }
  return file;
}

void write_dot(const std::filesystem::path& file, const Inspection& inspection) {
  StagedFiles files(file.has_parent_path() ? file.parent_path() : ".");
  files.write(file.filename().string(), to_dot(inspection));
  files.commit();
}

void run(InspectArguments& arguments, CommonOptions& common) {
  arguments.options = read_options(arguments.given.texts());
  const bool to_stdout = arguments.dot == "-";
  if (to_stdout && common.json)
    fail(ExitCode::usage, "--dot - and --json both write to stdout; expected one of them, or --dot FILE");
  const std::filesystem::path dot = arguments.dot.empty() || to_stdout ? std::filesystem::path() : dot_file(arguments);
  const Inspection inspection = inspect(arguments.options);
  if (!dot.empty()) write_dot(dot, inspection);
  if (to_stdout) {
    for (const std::string& warning : inspection.warnings)
      show_warning(common, warning);
    print_to_stdout(to_dot(inspection));
  } else {
    arguments.table.width = columns_of(STDOUT_FILENO);
    print(common, to_json(inspection), to_table(inspection, arguments.table), inspection.warnings);
  }
  if (inspection.refusal) throw Error(*inspection.refusal);
}

}  // namespace

void add_inspect(CLI::App& app, CommonOptions& common) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* verb = app.add_subcommand(
      "inspect",
      "Show a model's layers, units and groups, what can't be removed and why, and whether decompose will work");
  arguments->given.add(*verb, [](const Option& option) { return option.of_inspect; });
  verb->add_option("--dot", arguments->dot,
                   "Write the layer graph for Graphviz to FILE; -: to stdout, instead of the table")
      ->type_name("FILE")
      ->group("Output");
  verb->add_flag("--full", arguments->table.full, "Show all layers of every group, and every pin, in the table")
      ->group("Output");
  add_common_options(*verb, common);
  verb->callback([arguments, &common] {
    apply(common);
    run(*arguments, common);
  });
}

}  // namespace incite::cli
