#include "report/json.hpp"

#include <algorithm>

#include "report/json_parts.hpp"
#include "report/pin_reasons.hpp"
#include "store/document.hpp"
#include "subject/analysed_model.hpp"
#include "units/counts.hpp"

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
  Json json = set_json(module.set);
  json["file"] = module.file;
  json["parameters"] = module.parameters;
  json["bytes"] = module.bytes;
  json["compression"] = module.compression;
  json["slice_difference"] = module.slice_difference;
  json["multiply_adds"] = module.multiply_adds;
  if (module.calibration.size() == 1) {
    json["calibration"] = {{"scale", module.calibration[0].scale}, {"offset", module.calibration[0].offset}};
    return json;
  }
  json["calibration"] = {{"scale", Json::array()}, {"offset", Json::array()}};
  for (const Calibration& one : module.calibration) {
    json["calibration"]["scale"].push_back(one.scale);
    json["calibration"]["offset"].push_back(one.offset);
  }
  return json;
}

Json layer_names(const UnitMap& map, const std::vector<int32_t>& layers) {
  Json names = Json::array();
  for (const int32_t layer : layers)
    names.push_back(map.layers[static_cast<size_t>(layer)].name);
  return names;
}

Json groups_json(const Inspection& inspection) {
  Json groups = Json::array();
  for (const Group& group : inspection.model->map.groups) {
    const auto units = static_cast<int64_t>(group.units.size());
    const int64_t pinned = inspection.model->map.pinned_units(group);
    groups.push_back({{"layers", layer_names(inspection.model->map, group.layers)},
                      {"units", units},
                      {"removable", units - pinned},
                      {"pinned", pinned},
                      {"parameters", group_parameters(inspection.model->program, inspection.model->map, group)}});
  }
  return groups;
}

Json layers_json(const Inspection& inspection) {
  const UnitMap& map = inspection.model->map;
  Json layers = Json::array();
  for (const Layer& layer : map.layers) {
    const Node& node = inspection.model->program.node(layer.node);
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
                    {"reason", to_string(pin.reason)},
                    {"layers", layer_names(map, layers_of(map, pin.units))},
                    {"units", pin.units.size()}});
  }
  return pins;
}

Json whole_json(const Inspection& inspection) {
  Json layers = Json::array();
  for (const WholeLayer& layer : inspection.model->map.whole_layers) {
    layers.push_back({{"name", layer.name},
                      {"op", layer.op},
                      {"source", layer.source},
                      {"reason", to_string(layer.reason)},
                      {"places", layer.places},
                      {"parameters", whole_parameters(inspection.model->program, layer)}});
  }
  return layers;
}

}  // namespace

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
  json["scoring"] = {{"method", to_string(d.scoring.method)},
                     {"reason", d.scoring.reason},
                     {"mutants", d.scoring.mutants},
                     {"passes", d.scoring.passes},
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
    add_measures(json["modules"].back(), d.evaluation, i, d.modules[i].set);
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
  const UnitMap& map = inspection.model->map;
  const int64_t parameters = inspection.parameters;
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

}  // namespace incite
