#include "incite/report/json.hpp"

#include <algorithm>

#include "incite/base/error.hpp"
#include "incite/base/files.hpp"
#include "json_parts.hpp"

namespace incite {
namespace {

Json settings_json(const std::vector<Setting>& settings) {
  Json json = Json::object();
  for (const auto& [name, value] : settings) {
    std::visit([&json, &key = name](const auto& held) { json[key] = held; }, value);
  }
  return json;
}

Json module_json(const ModuleResult& module) {
  return {
      {"output", module.output},
      {"file", module.file},
      {"parameters", module.parameters},
      {"bytes", module.bytes},
      {"compression", module.compression},
      {"slice_difference", module.slice_difference},
      {"multiply_adds", module.multiply_adds},
      {"calibration", {{"scale", module.calibration.scale}, {"offset", module.calibration.offset}}},
  };
}

/// A member of a document; throws nlohmann's own error, which says its name, where it is missing or of another type.
template <typename T>
T get(const nlohmann::json& json, const char* key) {
  return json.at(key).get<T>();
}

Json layer_names(const UnitMap& map, const std::vector<int32_t>& layers) {
  Json names = Json::array();
  for (const int32_t layer : layers)
    names.push_back(map.layers[static_cast<size_t>(layer)].name);
  return names;
}

Json groups_json(const Inspection& inspection) {
  Json groups = Json::array();
  for (const Group& group : inspection.map.groups) {
    const auto units = static_cast<int64_t>(group.units.size());
    const int64_t pinned = inspection.map.pinned_units(group);
    groups.push_back({{"layers", layer_names(inspection.map, group.layers)},
                      {"units", units},
                      {"removable", units - pinned},
                      {"pinned", pinned},
                      {"parameters", group_parameters(inspection, group)}});
  }
  return groups;
}

Json layers_json(const Inspection& inspection) {
  const UnitMap& map = inspection.map;
  Json layers = Json::array();
  for (const Layer& layer : map.layers) {
    const Node& node = inspection.program.node(layer.node);
    layers.push_back({{"name", layer.name},
                      {"op", node.op},
                      {"source", node.source},
                      {"channels", layer.units.size()},
                      {"group", map.units[static_cast<size_t>(layer.units[0])].group}});
  }
  return layers;
}

Json pins_json(const UnitMap& map) {
  Json pins = Json::array();
  for (const Pin& pin : map.pins) {
    const bool output = pin.node < 0;
    pins.push_back({{"node", output ? Json(nullptr) : Json(pin.node)},
                    {"op", output ? Json(nullptr) : Json(pin.op)},
                    {"source", pin.source},
                    {"reason", pin.reason},
                    {"layers", layer_names(map, layers_of(map, pin.units))},
                    {"units", pin.units.size()}});
  }
  return pins;
}

Json whole_json(const Inspection& inspection) {
  Json layers = Json::array();
  for (const WholeLayer& layer : inspection.map.whole_layers) {
    layers.push_back({{"name", layer.name},
                      {"op", layer.op},
                      {"source", layer.source},
                      {"reason", layer.reason},
                      {"places", layer.places},
                      {"parameters", whole_parameters(inspection, layer)}});
  }
  return layers;
}

Decomposition parse(const nlohmann::json& json) {
  Decomposition decomposition;
  const auto& model = json.at("model");
  decomposition.model = {get<std::string>(model, "file"), get<std::string>(model, "sha256")};
  decomposition.parameters = get<int64_t>(model, "parameters");
  decomposition.outputs = get<int64_t>(model, "outputs");
  decomposition.kind = output_kind_named(get<std::string>(model, "output_kind"));
  decomposition.task =
      get<std::string>(model, "task") == to_string(Task::regression) ? Task::regression : Task::classification;
  const auto& settings = json.at("settings");
  decomposition.own_heads = get<std::string>(settings, "head") != "original";
  decomposition.input_key = get<std::string>(settings, "input_key");
  decomposition.target_key = get<std::string>(settings, "target_key");
  if (!settings.at("input_scale").is_null()) decomposition.input_scale = get<double>(settings, "input_scale");
  decomposition.input_shape = get<std::vector<int64_t>>(settings, "input_shape");
  if (settings.value("input_layout", "") == to_string(InputLayout::nhwc))
    decomposition.input_layout = InputLayout::nhwc;
  decomposition.output = settings.value("output", "");  // documents older than the option lack it
  for (const auto& entry : json.at("modules")) {
    ModuleResult module;
    module.output = get<int64_t>(entry, "output");
    module.file = get<std::string>(entry, "file");
    module.parameters = get<int64_t>(entry, "parameters");
    module.compression = get<double>(entry, "compression");
    decomposition.modules.push_back(std::move(module));
  }
  const auto scores = json.find("scores");
  if (scores == json.end()) decomposition.scores_bytes = 0;  // documents older than the option: they were always kept
  if (scores != json.end() && scores->is_object()) decomposition.scores_bytes = get<int64_t>(*scores, "bytes");
  return decomposition;
}

/// What readers rely on: every module is of an output that the model has, and lies beside the document.
bool sound(const Decomposition& decomposition) {
  return !decomposition.modules.empty() &&
         std::all_of(decomposition.modules.begin(), decomposition.modules.end(), [&](const ModuleResult& module) {
           return module.output >= 0 && module.output < decomposition.outputs && !module.file.empty() &&
                  std::filesystem::path(module.file).filename() == module.file;
         });
}

}  // namespace

OutputKind output_kind_named(const std::string& name) {
  for (const OutputKind kind :
       {OutputKind::logits, OutputKind::probabilities, OutputKind::log_probabilities, OutputKind::sigmoid}) {
    if (name == to_string(kind)) return kind;
  }
  return OutputKind::other;
}

std::string to_json(const Decomposition& d) {
  Json json;
  json["schema"] = schema;
  json["model"] = source(d.model);
  json["model"].update({{"parameters", d.parameters},
                        {"outputs", d.outputs},
                        {"output_kind", to_string(d.kind)},
                        {"task", to_string(d.task)}});
  json["data"] = source(d.data);
  json["data"].update({{"samples", d.samples},
                       {"fit_samples", d.fit_samples},
                       {"validation_samples", d.validation_samples},
                       {"scored_samples", d.scored_samples},
                       {"targets", d.own_targets ? "model" : "data"}});
  json["test"] = d.test ? source(*d.test) : Json{{"file", d.data.file}, {"sha256", d.data.sha256}};
  json["test"].update({{"samples", d.test_samples}, {"held_out", !d.test.has_value()}});
  json["settings"] = settings_json(d.settings);
  json["groups"] = Json::array();
  for (const GroupResult& group : d.groups) {
    json["groups"].push_back({{"layers", group.layers},
                              {"units", group.units},
                              {"clusters", group.clusters},
                              {"pinned", group.pinned},
                              {"scored_samples", group.scored_samples},
                              {"agreement", number(group.agreement)}});
  }
  json["scoring"] = {{"mutants", d.scoring.mutants},
                     {"multiply_adds", d.scoring.multiply_adds},
                     {"chunk", d.scoring.chunk},
                     {"batch", d.scoring.batch}};
  json["scores"] = nullptr;
  if (d.scores_bytes) json["scores"] = {{"file", "scores.npz"}, {"bytes", *d.scores_bytes}};
  json["search"] = Json::array();
  for (const SearchStep& step : d.steps) {
    json["search"].push_back(
        {{"compression", step.compression}, {"loss", step.loss}, {"error", step.error}, {"bound", step.bound()}});
  }
  json["head_losses"] = d.head_losses;
  json["last_layer_losses"] = d.last_layer_losses;
  json["finetuning_losses"] = d.finetuning_losses;
  json["modules"] = Json::array();
  for (size_t i = 0; i < d.modules.size(); ++i) {
    json["modules"].push_back(module_json(d.modules[i]));
    add_measures(json["modules"].back(), d.evaluation, i);
    json["modules"].back()["kept"] = d.modules[i].kept;
  }
  json["evaluation"] = evaluation_json(d.evaluation, outputs_of(d));
  json["evaluation"].update({{"mean_overlap", d.mean_overlap}, {"mean_compression", d.mean_compression}});
  add_matrix(json["evaluation"], "overlap", d.overlap);
  json["costs"] = {{"original", cost_json(d.cost())}, {"modules", cost_json(d.cost_of_modules())}};
  json["warnings"] = d.warnings;
  json["timing"] = Json::object();
  for (const auto& [stage, seconds] : d.seconds)
    json["timing"][stage] = seconds;
  json["versions"] = versions();
  return text(json);
}

std::string to_json(const Inspection& inspection) {
  const UnitMap& map = inspection.map;
  const int64_t parameters = inspection.program.parameter_count();
  Json json;
  json["schema"] = schema;
  json["parameters"] = parameters;
  json["removable_parameters"] = inspection.removable_parameters;
  json["removable_share"] =
      number(static_cast<double>(inspection.removable_parameters) / static_cast<double>(parameters));
  json["smallest_module"] = inspection.smallest_module;
  json["compression_at_most"] =
      number(static_cast<double>(parameters) / static_cast<double>(inspection.smallest_module));
  json["outputs"] = {{"count", inspection.outputs}, {"kind", to_string(inspection.kind)}};
  json["outputs"]["head"] = map.head < 0 ? Json(nullptr) : Json(map.layers[static_cast<size_t>(map.head)].name);
  json["refusal"] = nullptr;
  if (inspection.refusal) {
    json["refusal"] = {{"exit_code", static_cast<int>(inspection.refusal->code())},
                       {"message", inspection.refusal->what()}};
  }
  json["warnings"] = inspection.warnings;
  json["groups"] = groups_json(inspection);
  json["layers"] = layers_json(inspection);
  json["pins"] = pins_json(map);
  json["kept_whole"] = whole_json(inspection);
  json["versions"] = versions();
  return text(json);
}

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
           "{}: schema {}; this incite reads schema {}. Decompose again, or use the incite that wrote it",
           file.string(), found, schema);
    }
    Decomposition decomposition = parse(json);
    if (!sound(decomposition)) {
      fail(ExitCode::data_file,
           "{}: not a decomposition, or damaged: its modules are not those of its model; decompose again",
           file.string());
    }
    return decomposition;
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data_file, "{}: not a decomposition, or damaged: {}; decompose again", file.string(), error.what());
  }
}

}  // namespace incite
