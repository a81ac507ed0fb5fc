#include "program/pt2_writer.hpp"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/fail.hpp"
#include "program/pt2_constants.hpp"
#include "program/pt2_enums.hpp"
#include "program/pt2_source.hpp"

namespace incite {
namespace {

constexpr const char* symbol = "Symbol('s0', positive=True, integer=True)";

/// A size in sympy's notation.
std::string expression(const BatchSize& size) {
  std::string text = symbol;
  if (size.each != 1) text = fmt::format("Mul(Integer({}), {})", size.each, text);
  if (size.fixed != 0) text = fmt::format("Add({}, Integer({}))", text, size.fixed);
  return text;
}

Json size_json(const BatchSize& size) {
  if (!size.depends()) return {{"as_int", size.fixed}};
  return {{"as_expr", {{"expr_str", expression(size)}, {"hint", {{"as_int", size.at(hint_samples)}}}}}};
}

Json sizes_json(const std::vector<BatchSize>& sizes) {
  Json list = Json::array();
  for (const BatchSize& size : sizes)
    list.push_back(size_json(size));
  return list;
}

Json tensor_json(const std::string& name) {
  return {{"as_tensor", {{"name", name}}}};
}

/// What an archive says of a tensor: its type, sizes and strides.
Json tensor_meta(const ValueSizes& sizes, bool is_trained) {
  const auto type = pt2_number(sizes.type);
  if (!type)
    fail(ExitCode::unsupported, "a tensor of type {}: a .pt2 file can't hold it. Pass --format torchscript",
         c10::toString(sizes.type));
  return {{"dtype", *type},
          {"sizes", sizes_json(sizes.sizes)},
          {"requires_grad", is_trained},
          {"device", {{"type", "cpu"}, {"index", nullptr}}},
          {"strides", sizes_json(sizes.strides)},
          {"storage_offset", size_json(sizes.offset)},
          {"layout", pt2_strided}};
}

class Pt2Writer {
 public:
  Pt2Writer(const Program& program, const std::vector<ValueSizes>& sizes, std::string what)
      : program_(program), sizes_(sizes), what_(std::move(what)), lists_(program.values.size(), nullptr) {}

  Pt2Graph graph() {
    for (const ValueId id : program_.inputs)
      add_input(id);
    for (const bool buffers : {false, true})
      add_weights(buffers);
    for (const Node& node : program_.nodes)
      note_list(node);
    for (const Node& node : program_.nodes)
      add(node);
    graph_.output = name_of(program_.output);
    return std::move(graph_);
  }

 private:
  [[noreturn]] void refuse(const std::string& found) const {
    fail(ExitCode::unsupported,
         "{}: {} at {}: a .pt2 file can't hold it; expected an operation that torch.export knows. Pass --format "
         "torchscript",
         what_, found, source_.empty() ? "an unknown line" : source_);
  }

  // ---- Names

  std::string unique(std::string name) {
    std::replace_if(
        name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    const std::string first = name;
    for (int again = 1; !taken_.insert(name).second; ++again)
      name = fmt::format("{}_{}", first, again);
    return name;
  }

  const std::string& name_of(ValueId id) const {
    const auto found = names_.find(id);
    INCITE_ASSERT(found != names_.end());
    return found->second;
  }

  void describe(ValueId id, const std::string& name, bool is_trained = false) {
    names_[id] = name;
    graph_.tensor_values[name] = tensor_meta(sizes_[at_index(id)], is_trained);
  }

  void add_input(ValueId id) {
    const std::string& name = program_.value(id).name;
    INCITE_ASSERT(taken_.insert(name).second);
    describe(id, name);
    graph_.inputs.push_back(name);
  }

  void add_weights(bool buffers) {
    for (const Node& node : program_.nodes) {
      for (const ValueId id : node.inputs) {
        const Value& value = program_.value(id);
        if (value.kind != Value::Kind::parameter || value.is_buffer != buffers || names_.contains(id)) continue;
        const std::string argument = unique((buffers ? "b_" : "p_") + value.name);
        const bool trained = !buffers && value.content.toTensor().is_floating_point();
        add_tensor(graph_.weights, id, {value.name, argument, value.content.toTensor(), !buffers}, trained);
      }
    }
  }

  void add_tensor(std::vector<Pt2Tensor>& tensors, ValueId id, Pt2Tensor tensor, bool trained) {
    names_[id] = tensor.argument;
    tensor.content = tensor.content.detach().cpu().contiguous();
    graph_.tensor_values[tensor.argument] = meta_of(tensor.content, trained);
    tensors.push_back(std::move(tensor));
  }

  static Json meta_of(const at::Tensor& tensor, bool trained) {
    ValueSizes sizes;
    sizes.is_tensor = true;
    sizes.type = tensor.scalar_type();
    for (int64_t d = 0; d < tensor.dim(); ++d) {
      sizes.sizes.push_back({0, tensor.size(d)});
      sizes.strides.push_back({0, tensor.stride(d)});
    }
    return tensor_meta(sizes, trained);
  }

  // ---- Sizes

  /// The name of a whole number that depends on the batch size: computed from the first input's.
  std::string symbol_name(const BatchSize& size) {
    for (const auto& [known, name] : symbols_) {
      if (known == size) return name;
    }
    std::string name;
    if (size == BatchSize{1, 0}) {
      name = unique("sym_size_int");
      add_number(name, "torch.ops.aten.sym_size.int",
                 {{"self", tensor_json(graph_.inputs[0])}, {"dim", {{"as_int", 0}}}});
    } else if (size.fixed != 0) {
      const std::string multiple = symbol_name({size.each, 0});
      name = unique("add_size");
      add_number(name, "_operator.add", {{"a", symbol_json(multiple)}, {"b", {{"as_int", size.fixed}}}});
    } else {
      const std::string samples = symbol_name({1, 0});
      name = unique("mul_size");
      add_number(name, "_operator.mul", {{"a", symbol_json(samples)}, {"b", {{"as_int", size.each}}}});
    }
    graph_.number_values[name] = size_json(size);
    symbols_.emplace_back(size, name);
    return name;
  }

  static Json symbol_json(const std::string& name) { return {{"as_sym_int", {{"as_name", name}}}}; }

  void add_number(const std::string& name, const std::string& target,
                  const std::vector<std::pair<std::string, Json>>& inputs) {
    Json arguments = Json::array();
    for (const auto& [argument, content] : inputs)
      arguments.push_back({{"name", argument}, {"arg", content}, {"kind", 1}});
    add_node(name, target, std::move(arguments), Json::array({symbol_json(name)}));
  }

  void add_node(const std::string& name, const std::string& target, Json inputs, Json outputs) {
    Json metadata = Json::object();
    if (const std::string trace = pt2_stack_trace(source_); !trace.empty()) metadata["stack_trace"] = trace;
    graph_.nodes.push_back({{"target", target},
                            {"inputs", std::move(inputs)},
                            {"outputs", std::move(outputs)},
                            {"metadata", std::move(metadata)},
                            {"is_hop_single_tensor_return", nullptr},
                            {"name", name}});
  }

  // ---- Nodes

  void note_list(const Node& node) {
    if (node.op == "prim::ListConstruct") lists_[at_index(node.outputs[0])] = &node;
    if (node.op == "prim::ListUnpack") items_[node.inputs[0]] = &node;
  }

  bool is_number(ValueId id) const { return sizes_[at_index(id)].number.has_value(); }

  void add(const Node& node) {
    source_ = node.source;
    if (node.op == "prim::ListConstruct" || node.op == "prim::ListUnpack") return;
    if (std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) { return is_number(id); }))
      return;  // computed anew from the batch size where it is read
    if (node.op == "prim::NumToTensor") return add_number_as_tensor(node);
    const auto schema = c10::Dispatcher::singleton().findSchema({node.op, node.overload});
    if (!schema || !node.op.starts_with("aten::")) refuse(node.op);
    const std::string base = node.op.substr(std::string("aten::").size());
    Json inputs = inputs_of(node, schema->schema());
    std::string name;
    Json outputs = outputs_of(node, base, name);
    add_node(name, fmt::format("torch.ops.aten.{}.{}", base, node.overload.empty() ? "default" : node.overload),
             std::move(inputs), std::move(outputs));
  }

  void add_number_as_tensor(const Node& node) {
    const std::string name = unique("scalar_tensor");
    Json inputs = Json::array();
    inputs.push_back({{"name", "s"}, {"arg", number_argument(node.inputs[0])}, {"kind", 1}});
    inputs.push_back({{"name", "dtype"}, {"arg", {{"as_scalar_type", pt2_number(at::kLong).value()}}}, {"kind", 2}});
    describe(node.outputs[0], name);
    add_node(name, "torch.ops.aten.scalar_tensor.default", std::move(inputs), Json::array({tensor_json(name)}));
  }

  Json outputs_of(const Node& node, const std::string& base, std::string& name) {
    Json outputs = Json::array();
    for (const ValueId id : node.outputs) {
      const auto items = items_.find(id);
      if (items != items_.end()) {
        Json names = Json::array();
        for (const ValueId item : items->second->outputs)
          names.push_back({{"name", name_output(item, base)}});
        outputs.push_back({{"as_tensors", std::move(names)}});
      } else if (sizes_[at_index(id)].is_tensor) {
        outputs.push_back(tensor_json(name_output(id, base)));
      } else {
        refuse(fmt::format("{}, which makes no tensor,", node.op));
      }
    }
    const bool single = node.outputs.size() == 1 && !items_.contains(node.outputs[0]);
    name = single ? name_of(node.outputs[0]) : unique(base);
    return outputs;
  }

  std::string name_output(ValueId id, const std::string& base) {
    const std::string name = unique(fmt::format("{}_{}", base, count_++));
    describe(id, name);
    return name;
  }

  // ---- Arguments

  Json inputs_of(const Node& node, const c10::FunctionSchema& schema) {
    const auto& parameters = schema.arguments();
    INCITE_ASSERT(parameters.size() == node.inputs.size());
    size_t positional = 0;  // defaults at the end of these are left out, as torch.export does
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!parameters[i].kwarg_only() && !is_default(node.inputs[i], parameters[i])) positional = i + 1;
    }
    Json inputs = Json::array();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const c10::Argument& parameter = parameters[i];
      if (parameter.kwarg_only() ? is_default(node.inputs[i], parameter) : i >= positional) continue;
      inputs.push_back({{"name", parameter.name()},
                        {"arg", argument(node.inputs[i], parameter)},
                        {"kind", parameter.kwarg_only() ? 2 : 1}});
    }
    return inputs;
  }

  bool is_default(ValueId id, const c10::Argument& parameter) const {
    if (!program_.is_constant(id) || !parameter.default_value()) return false;
    const c10::IValue& content = program_.value(id).content;
    const c10::IValue& usual = *parameter.default_value();
    if (content.isNone() || usual.isNone()) return content.isNone() && usual.isNone();
    if (content.isTensor() || usual.isTensor()) return false;
    return content.tagKind() == usual.tagKind() && content == usual;
  }

  Json argument(ValueId id, const c10::Argument& parameter) {
    if (const Node* list = lists_[at_index(id)]) return list_argument(*list, parameter);
    if (program_.is_constant(id)) return constant_argument(id, parameter);
    if (is_number(id)) return number_argument(id);
    if (names_.contains(id)) return tensor_json(name_of(id));
    refuse(fmt::format("a value of type {}", program_.value(id).type->annotation_str()));
  }

  Json number_argument(ValueId id) {
    const BatchSize size = number_of(id);
    return size.depends() ? symbol_json(symbol_name(size)) : Json{{"as_int", size.fixed}};
  }

  BatchSize number_of(ValueId id) const {
    const auto& number = sizes_[at_index(id)].number;
    INCITE_ASSERT(number.has_value());
    return *number;
  }

  Json list_argument(const Node& list, const c10::Argument& parameter) {
    if (is_list_of_numbers(list)) return numbers_argument(list);
    const bool optional = takes_optional(parameter);
    Json items = Json::array();
    for (const ValueId id : list.inputs) {
      const bool none = program_.is_constant(id) && program_.value(id).content.isNone();
      if (none && !optional) refuse("a list that holds None");
      const Json name = none ? Json(true) : Json{{"name", tensor_name(id)}};
      items.push_back(!optional ? name : Json{{none ? "as_none" : "as_tensor", name}});
    }
    return {{optional ? "as_optional_tensors" : "as_tensors", std::move(items)}};
  }

  bool is_list_of_numbers(const Node& list) const {
    return std::any_of(list.inputs.begin(), list.inputs.end(), [&](ValueId id) { return is_number(id); });
  }

  Json numbers_argument(const Node& list) {
    Json items = Json::array();
    for (const ValueId id : list.inputs) {
      if (!is_number(id)) refuse("a list of numbers and other values");
      const BatchSize size = number_of(id);
      items.push_back(size.depends() ? Json{{"as_name", symbol_name(size)}} : Json{{"as_int", size.fixed}});
    }
    return {{"as_sym_ints", std::move(items)}};
  }

  /// A tensor's name; a constant becomes an input of the graph.
  std::string tensor_name(ValueId id) {
    if (names_.contains(id)) return name_of(id);
    if (!program_.is_constant(id) || !program_.value(id).content.isTensor())
      refuse(fmt::format("a value of type {}", program_.value(id).type->annotation_str()));
    const std::string name = fmt::format("constant_{}", graph_.constants.size());
    add_tensor(graph_.constants, id, {name, unique("c_" + name), program_.value(id).content.toTensor(), false}, false);
    return name_of(id);
  }

  static bool takes_optional(const c10::Argument& parameter) {
    const auto list = without_optional(parameter.type())->cast<c10::ListType>();
    return list && list->getElementType()->kind() == c10::TypeKind::OptionalType;
  }

  Json constant_argument(ValueId id, const c10::Argument& parameter) {
    const c10::IValue& content = program_.value(id).content;
    if (content.isTensor()) return tensor_json(tensor_name(id));
    if (auto json = pt2_constant(content, parameter)) return std::move(*json);
    refuse(fmt::format("a constant of type {}", content.type()->annotation_str()));
  }

  const Program& program_;
  const std::vector<ValueSizes>& sizes_;
  const std::string what_;
  Pt2Graph graph_;
  std::string source_;                    // of the node at hand
  std::vector<const Node*> lists_;        // by value: the node that makes a list of others
  std::map<ValueId, const Node*> items_;  // by list: the node that takes it apart
  std::map<ValueId, std::string> names_;
  std::set<std::string> taken_;
  std::vector<std::pair<BatchSize, std::string>> symbols_;
  int64_t count_ = 0;
};

}  // namespace

Pt2Graph pt2_graph(const Program& program, const std::vector<ValueSizes>& sizes, const std::string& what) {
  return Pt2Writer(program, sizes, what).graph();
}

}  // namespace incite
