#include "report/composition.hpp"

#include <fmt/format.h>

#include "base/json.hpp"
#include "report/json_parts.hpp"
#include "report/table.hpp"
#include "store/document.hpp"

namespace incite {

std::string to_json(const Composition& composition) {
  Json json;
  json["schema"] = schema;
  json["file"] = composition.file;
  json["task"] = to_string(composition.task);
  json["parameters"] = composition.parameters;
  json["bytes"] = composition.bytes;
  json["checked_on"] = composition.checked_on.empty() ? Json(nullptr) : Json(composition.checked_on);
  json["modules"] = Json::array();
  for (const ComposedModule& module : composition.modules) {
    Json entry = {{"name", module.name}, {"key", module.key}, {"file", module.file}};
    if (module.set.name.empty()) {
      entry["output"] = module.set.outputs.front();
    } else {
      entry["outputs"] = module.set.outputs;
      entry["columns"] = module.columns;
    }
    entry["parameters"] = module.parameters;
    json["modules"].push_back(std::move(entry));
  }
  json["versions"] = versions();
  return text(json);
}

std::string to_table(const Composition& composition, size_t width) {
  Table table({"column", "name", "key", "module", "parameters"}, {1, 2, 3});
  size_t number = 0;
  for (const ComposedModule& module : composition.modules) {
    std::vector<std::string> rest = {module.key, module.file, human_count(module.parameters)};
    for (const std::string& name : module.columns) {
      std::vector<std::string> row = {std::to_string(number++), name};
      row.insert(row.end(), rest.begin(), rest.end());
      table.add(std::move(row));
      rest.assign(rest.size(), "");  // once for a module
    }
  }
  const size_t count = composition.modules.size();
  std::string text =
      fmt::format("{}: {} module{} ({}), {} parameters, {}\n\n", composition.file, count, count == 1 ? "" : "s",
                  to_string(composition.task), human_count(composition.parameters), human_bytes(composition.bytes));
  text += table.text(width, {1, 2, 3}) + "\n";
  text += composition.checked_on.empty()
              ? "Not checked on samples: the data of the decomposition is not there; pass samples with --data.\n"
              : fmt::format("Checked on the first samples of {}: each column equals its module's output.\n",
                            composition.checked_on);
  return text;
}

}  // namespace incite
