#include "program/pt2_json.hpp"

#include <algorithm>
#include <limits>

#include "base/fail.hpp"

namespace incite {
namespace {

constexpr int deepest = 200;  // levels; a model's own JSON has some ten, and eight for each graph in a graph

/// How deeply lists and objects are nested. Brackets in texts do not count.
int depth_of(const std::string& text) {
  int depth = 0;
  int most = 0;
  bool in_text = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      in_text = c != '"';
    } else if (c == '"') {
      in_text = true;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return most;
}

}  // namespace

std::string printable(const std::string& text, size_t longest) {
  std::string line = text.substr(0, longest);
  for (char& c : line) {
    if (c >= 0 && (c < ' ' || c == '\x7f')) c = '?';
  }
  return text.size() > longest ? line + "..." : line;
}

nlohmann::json parse_json(const std::string& text, const std::string& where) {
  constexpr const char* advice = "The file is damaged or was changed; export the model again";
  if (depth_of(text) > deepest)
    fail(ExitCode::model_file, "{}: JSON of more than {} levels; expected fewer. {}", where, deepest, advice);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception&) {  // its message quotes the text, which may be anything
    fail(ExitCode::model_file, "{}: not JSON. {}", where, advice);
  }
}

void JsonView::refuse(const std::string& what) const {
  fail(ExitCode::model_file, "{}: {}. The file is damaged or was changed; export the model again", where_, what);
}

void JsonView::refuse_type(const char* expected) const {
  refuse(fmt::format("{}; expected {}", json_->is_null() ? "nothing" : json_->type_name(), expected));
}

JsonView JsonView::at(const std::string& key) const {
  if (!json_->is_object()) refuse_type("an object");
  const auto found = json_->find(key);
  if (found == json_->end()) refuse(fmt::format("no '{}'; expected one", printable(key)));
  return {*found, where_ + "." + printable(key)};
}

std::optional<JsonView> JsonView::find(const std::string& key) const {
  if (!json_->is_object()) refuse_type("an object");
  const auto found = json_->find(key);
  if (found == json_->end() || found->is_null()) return std::nullopt;
  return JsonView(*found, where_ + "." + printable(key));
}

std::vector<JsonView> JsonView::items() const {
  if (!json_->is_array()) refuse_type("a list");
  std::vector<JsonView> items;
  for (const nlohmann::json& item : *json_)
    items.emplace_back(item, fmt::format("{}[{}]", where_, items.size()));
  return items;
}

std::vector<std::pair<std::string, JsonView>> JsonView::members() const {
  if (!json_->is_object()) refuse_type("an object");
  std::vector<std::pair<std::string, JsonView>> members;
  for (const auto& [key, value] : json_->items())
    members.emplace_back(key, JsonView(value, where_ + "." + printable(key)));
  return members;
}

std::pair<std::string, JsonView> JsonView::only() const {
  if (!json_->is_object() || json_->size() != 1) refuse_type("an object with one member");
  const auto first = json_->begin();
  return {first.key(), JsonView(*first, where_ + "." + printable(first.key()))};
}

const std::string& JsonView::text() const {
  if (!json_->is_string()) refuse_type("text");
  return json_->get_ref<const std::string&>();
}

int64_t JsonView::integer() const {
  const bool fits = json_->is_number_integer() &&
                    (!json_->is_number_unsigned() ||
                     json_->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  if (!fits) refuse_type("a whole number");
  return json_->get<int64_t>();
}

double JsonView::real() const {
  if (json_->is_number()) return json_->get<double>();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (json_->is_string()) {
    const auto& name = json_->get_ref<const std::string&>();
    if (name == "Infinity") return infinity;
    if (name == "-Infinity") return -infinity;
    if (name == "NaN") return std::numeric_limits<double>::quiet_NaN();
  }
  refuse_type("a number");
}

bool JsonView::boolean() const {
  if (!json_->is_boolean()) refuse_type("true or false");
  return json_->get<bool>();
}

}  // namespace incite
