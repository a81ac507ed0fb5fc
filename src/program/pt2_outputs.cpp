#include "program/pt2_outputs.hpp"

#include <algorithm>

#include "base/fail.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

constexpr int deepest_tree = 50;

/// The texts of a list; empty for anything else.
std::vector<std::string> texts_of(const JsonView& json) {
  if (!json.is_list()) return {};
  std::vector<std::string> texts;
  for (const JsonView& item : json.items()) {
    if (!item.is_string()) return {};
    texts.push_back(item.text());
  }
  return texts;
}

class OutputTree {
 public:
  OutputTree(const std::vector<jit::Value*>& outputs, const JsonView& module, jit::Graph& graph)
      : outputs_(outputs), module_(module), graph_(graph) {}

  jit::Value* whole(const JsonView& spec) {
    jit::Value* value = make(spec, 0);
    if (next_ != outputs_.size()) spec.refuse(fmt::format("{} outputs; expected {}", next_, outputs_.size()));
    return value;
  }

 private:
  jit::Value* make(const JsonView& spec, int depth) {
    if (depth > deepest_tree) spec.refuse("nested too deeply");
    const auto type = spec.find("type");
    if (!type) {
      if (next_ == outputs_.size()) spec.refuse("more outputs than the graph has");
      return outputs_[next_++];
    }
    std::vector<jit::Value*> children;
    for (const JsonView& child : spec.at("children_spec").items())
      children.push_back(make(child, depth + 1));
    const std::string& name = type->text();
    const std::vector<std::string> names = names_of(spec, name, children.size());
    if (!names.empty() && name != "collections.namedtuple" && all_tensors(children)) return dict(names, children);
    return tuple(names, children);
  }

  /// The keys of a dict, or the fields of a named tuple or dataclass, if there are as many; empty for anything else.
  std::vector<std::string> names_of(const JsonView& spec, const std::string& type, size_t count) const {
    const auto context = spec.find("context");
    if (!context || count == 0) return {};
    const nlohmann::json json = parse_json(context->text(), context->where());
    const JsonView view(json, context->where());
    std::vector<std::string> names;
    if (type == "collections.namedtuple") {
      const auto fields = module_.find("treespec_namedtuple_fields");
      const auto own = fields && view.is_string() ? fields->find(view.text()) : std::nullopt;
      if (own) names = texts_of(own->at("field_names"));
    } else {
      names = texts_of(view);
      // A dataclass has a list of its fields, and one of those that are None; a defaultdict has its keys last.
      const std::vector<JsonView> parts = names.empty() && view.is_list() ? view.items() : std::vector<JsonView>();
      for (const JsonView& part : parts) {
        if (names.size() != count) names = texts_of(part);
      }
    }
    return names.size() == count ? names : std::vector<std::string>();
  }

  static bool all_tensors(const std::vector<jit::Value*>& values) {
    return std::all_of(values.begin(), values.end(),
                       [](const jit::Value* value) { return value->type()->kind() == c10::TypeKind::TensorType; });
  }

  jit::Value* dict(const std::vector<std::string>& names, const std::vector<jit::Value*>& values) {
    std::vector<jit::Value*> keys;
    for (const std::string& name : names)
      keys.push_back(graph_.insertConstant(name));
    return graph_.insertNode(graph_.createDict(c10::StringType::get(), c10::TensorType::get(), keys, values))->output();
  }

  jit::Value* tuple(const std::vector<std::string>& names, const std::vector<jit::Value*>& values) {
    if (names.empty()) return graph_.insertNode(graph_.createTuple(values))->output();
    std::vector<c10::TypePtr> of_elements;
    for (const jit::Value* value : values)
      of_elements.push_back(value->type());
    const auto type = c10::TupleType::createNamed(c10::QualifiedName("__torch__.Outputs"), names, of_elements);
    return graph_.insertNode(graph_.createTuple(values, type))->output();
  }

  const std::vector<jit::Value*>& outputs_;
  const JsonView& module_;
  jit::Graph& graph_;
  size_t next_ = 0;
};

}  // namespace

jit::Value* put_together(const std::vector<jit::Value*>& outputs, const JsonView& module, jit::Graph& graph) {
  const std::vector<JsonView> calls = module.at("module_call_graph").items();
  const auto root =
      std::find_if(calls.begin(), calls.end(), [](const JsonView& call) { return call.at("fqn").text().empty(); });
  if (root == calls.end()) module.at("module_call_graph").refuse("nothing about the model itself");
  const JsonView text = root->at("signature").at("out_spec");
  const nlohmann::json json = parse_json(text.text(), text.where());
  const std::vector<JsonView> versioned = JsonView(json, text.where()).items();
  if (versioned.size() != 2) text.refuse("not a version and a tree");
  return OutputTree(outputs, module, graph).whole(versioned[1]);
}

}  // namespace incite
