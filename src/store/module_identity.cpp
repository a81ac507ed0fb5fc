#include "store/module_identity.hpp"

#include "base/json.hpp"
#include "store/document.hpp"

namespace incite {
namespace {

Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

std::optional<double> number_at(const Json& json, const char* key) {
  return json.at(key).is_null() ? std::nullopt : std::optional(json.at(key).get<double>());
}

}  // namespace

std::string to_text(const ModuleIdentity& identity) {
  Json json = {{"schema", schema},
               {"output", identity.set.size() == 1 ? Json(identity.set.outputs[0]) : Json(nullptr)},
               {"model", identity.model},
               {"outputs", identity.outputs},
               {"task", to_string(identity.task)},
               {"output_kind", to_string(identity.kind)},
               {"own_head", identity.own_head},
               {"input_key", identity.input_key},
               {"target_key", identity.target_key},
               {"input_scale", optional_number(identity.input_scale)},
               {"scale", optional_number(identity.scale)},
               {"input_shape", identity.input_shape},
               {"input_layout", to_string(identity.input_layout)},
               {"shapes", identity.shapes}};
  if (!identity.set.names.empty()) json["names"] = identity.set.names;
  if (!identity.set.name.empty()) json["set"] = {{"name", identity.set.name}, {"outputs", identity.set.outputs}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<ModuleIdentity> parse_identity(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("schema").get<int>() != schema) return std::nullopt;
    ModuleIdentity identity;
    if (!json.at("output").is_null()) identity.set.outputs = {json.at("output").get<int64_t>()};
    if (const auto set = json.find("set"); set != json.end()) {
      identity.set.name = set->at("name").get<std::string>();
      identity.set.outputs = set->at("outputs").get<std::vector<int64_t>>();
    }
    identity.model = json.at("model").get<std::string>();
    identity.outputs = json.at("outputs").get<int64_t>();
    identity.task = named<Task>(json.at("task").get<std::string>()).value_or(Task::classification);
    identity.kind = named<OutputKind>(json.at("output_kind").get<std::string>()).value_or(OutputKind::other);
    identity.own_head = json.at("own_head").get<bool>();
    identity.input_key = json.at("input_key").get<std::string>();
    identity.target_key = json.at("target_key").get<std::string>();
    identity.input_scale = number_at(json, "input_scale");
    identity.scale = number_at(json, "scale");
    identity.input_shape = json.at("input_shape").get<std::vector<int64_t>>();
    identity.input_layout =
        named<InputLayout>(json.at("input_layout").get<std::string>()).value_or(InputLayout::as_stored);
    identity.shapes = json.at("shapes").get<std::vector<std::vector<int64_t>>>();
    identity.set.names = json.value("names", std::vector<std::string>{});
    if (identity.set.names.size() != identity.set.outputs.size()) identity.set.names.clear();
    identity.set.others = has_others(identity.set, identity.task == Task::classification, identity.outputs);
    if (!is_sound(identity.set, identity.outputs)) return std::nullopt;
    return identity;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

ModuleIdentity identity_of(const Decomposition& decomposition, const ModuleResult& module) {
  ModuleIdentity identity;
  identity.model = decomposition.model.sha256;
  identity.set = module.set;
  identity.outputs = decomposition.outputs;
  identity.kind = decomposition.kind;
  identity.task = decomposition.task;
  identity.own_head = decomposition.own_heads;
  identity.input_key = decomposition.input_key;
  identity.target_key = decomposition.target_key;
  identity.input_scale = identity.scale = decomposition.input_scale;
  identity.input_shape = decomposition.input_shape;
  identity.input_layout = decomposition.input_layout;
  // With another layout, the document does not tell whether the shape was given before or after the axes were moved.
  const bool as_stored = decomposition.input_layout == InputLayout::as_stored;
  if (as_stored && !decomposition.input_shape.empty()) identity.shapes = {decomposition.input_shape};
  return identity;
}

DatasetOptions reading_of(const ModuleIdentity& identity) {
  DatasetOptions data;
  data.input_key = identity.input_key;
  data.target_key = identity.target_key;
  data.input_scale = identity.input_scale;
  data.input_shape = identity.input_shape;
  data.input_layout = identity.input_layout;
  return data;
}

}  // namespace incite
