#include "command.hpp"
#include "incite/report/json.hpp"
#include "incite/report/table.hpp"

namespace incite::cli {

void add_inspect(CLI::App& app, CommonOptions& common) {
  struct Arguments {
    ModelOptions options;
    DataArguments data;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("inspect", "Show a model's layers, units and groups, and what can't be removed and why");
  add_model_options(*verb, arguments->options, arguments->data);
  add_common_options(*verb, common);
  verb->callback([arguments, &common] {
    apply(common);
    finish_data_options(arguments->data, arguments->options.data);
    const Inspection inspection = inspect(arguments->options);
    print(common, to_json(inspection), to_table(inspection));
  });
}

}  // namespace incite::cli
