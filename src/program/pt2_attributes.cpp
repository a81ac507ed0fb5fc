#include "program/pt2_attributes.hpp"

#include <nlohmann/json.hpp>

#include "base/fail.hpp"
#include "program/pt2_json.hpp"

namespace incite {
namespace {

std::string json_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

c10::IValue texts_from(const JsonView& list) {
  c10::List<std::string> texts;
  for (const JsonView& item : list.items())
    texts.push_back(item.text());
  return texts;
}

c10::IValue numbers_from(const JsonView& list) {
  c10::List<int64_t> numbers;
  for (const JsonView& item : list.items())
    numbers.push_back(item.integer());
  return numbers;
}

}  // namespace

std::map<std::string, std::string> extra_files(const FileAttributes& attributes) {
  std::map<std::string, std::string> files;
  if (!attributes.identity.empty()) files[identity_attribute] = attributes.identity;
  if (!attributes.names.empty()) files[names_attribute] = json_text(attributes.names);
  if (!attributes.outputs.empty()) files[outputs_attribute] = json_text(attributes.outputs);
  return files;
}

void add_attributes(const Pt2Archive& archive, const std::string& file, torch::jit::Module& module) {
  const auto add = [&](const char* name, const c10::TypePtr& type, const auto& read) {
    const auto text = archive.extra(name);
    if (!text || module.hasattr(name)) return;
    module.register_attribute(name, type, read(*text, fmt::format("{}: extra/{}", file, name)));
  };
  const auto list = [](const auto& from) {
    return [from](const std::string& text, const std::string& where) {
      const nlohmann::json json = parse_json(text, where);
      return from(JsonView(json, where));
    };
  };
  add(identity_attribute, c10::StringType::get(),
      [](const std::string& text, const std::string&) { return c10::IValue(text); });
  add(names_attribute, c10::ListType::ofStrings(), list(texts_from));
  add(outputs_attribute, c10::ListType::ofInts(), list(numbers_from));
}

}  // namespace incite
