#include "store/document.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "store/files.hpp"

namespace incite {
namespace {

/// A member of a document. Throws nlohmann's error, which names it, if it is missing or has another type.
template <typename T>
T get(const nlohmann::json& json, const char* key) {
  return json.at(key).get<T>();
}

Decomposition parse(const nlohmann::json& json) {
  Decomposition decomposition;
  const auto& model = json.at("model");
  decomposition.model = {get<std::string>(model, "file"), get<std::string>(model, "sha256")};
  decomposition.parameters = get<int64_t>(model, "parameters");
  decomposition.outputs = get<int64_t>(model, "outputs");
  decomposition.kind = named<OutputKind>(get<std::string>(model, "output_kind")).value_or(OutputKind::other);
  decomposition.task = named<Task>(get<std::string>(model, "task")).value_or(Task::classification);
  const auto& settings = json.at("settings");
  decomposition.own_heads = get<std::string>(settings, "head") != "original";
  decomposition.input_key = get<std::string>(settings, "input_key");
  decomposition.target_key = get<std::string>(settings, "target_key");
  if (!settings.at("input_scale").is_null()) decomposition.input_scale = get<double>(settings, "input_scale");
  decomposition.input_shape = get<std::vector<int64_t>>(settings, "input_shape");
  decomposition.input_layout = named<InputLayout>(settings.value("input_layout", "")).value_or(InputLayout::as_stored);
  decomposition.output = settings.value("output", "");  // documents older than the option lack it
  for (const auto& entry : json.at("modules")) {
    ModuleResult module;
    if (entry.contains("outputs")) {
      module.set.outputs = get<std::vector<int64_t>>(entry, "outputs");
      module.set.name = get<std::string>(entry, "name");
      module.set.names = entry.value("output_names", std::vector<std::string>{});
      if (module.set.names.size() != module.set.outputs.size()) module.set.names.clear();
    } else {
      module.set.outputs = {get<int64_t>(entry, "output")};
      if (entry.contains("name")) module.set.names = {get<std::string>(entry, "name")};
    }
    module.set.others = has_others(module.set, decomposition.task == Task::classification, decomposition.outputs);
    module.file = get<std::string>(entry, "file");
    module.parameters = get<int64_t>(entry, "parameters");
    module.compression = get<double>(entry, "compression");
    decomposition.modules.push_back(std::move(module));
  }
  const auto scores = json.find("scores");
  if (scores == json.end()) decomposition.scores_bytes = 0;  // documents older than the option: scores were always kept
  if (scores != json.end() && scores->is_object()) decomposition.scores_bytes = get<int64_t>(*scores, "bytes");
  return decomposition;
}

/// What readers rely on: every module is for an output of the model, and its file lies beside the document.
bool sound(const Decomposition& decomposition) {
  return !decomposition.modules.empty() &&
         std::all_of(decomposition.modules.begin(), decomposition.modules.end(), [&](const ModuleResult& module) {
           return module.set.size() > 0 && is_sound(module.set, decomposition.outputs) && !module.file.empty() &&
                  std::filesystem::path(module.file).filename() == module.file;
         });
}

}  // namespace

Decomposition read_decomposition(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    fail(ExitCode::data_file, "{}: no such file; expected the folder that 'incite decompose --out' wrote",
         file.string());
  }
  const std::string content = read_text(file);
  try {
    const auto json = nlohmann::json::parse(content);
    if (const int found = get<int>(json, "schema"); found != schema) {
      fail(ExitCode::data_file,
           "{}: schema {}; this version of incite reads schema {}. Decompose again, or use the version that wrote it",
           file.string(), found, schema);
    }
    Decomposition decomposition = parse(json);
    if (!sound(decomposition)) {
      fail(ExitCode::data_file,
           "{}: not a decomposition, or damaged: its modules do not match its model; decompose again", file.string());
    }
    return decomposition;
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data_file, "{}: not a decomposition, or damaged: {}; decompose again", file.string(), error.what());
  }
}

SourceFile data_source(const std::filesystem::path& document) {
  const std::string content = read_text(document);
  try {
    const auto data = nlohmann::json::parse(content).at("data");
    return {data.at("file").get<std::string>(), data.at("sha256").get<std::string>()};
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data_file, "{}: not a decomposition, or damaged: {}; decompose again", document.string(),
         error.what());
  }
}

}  // namespace incite
