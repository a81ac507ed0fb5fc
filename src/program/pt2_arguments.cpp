#include "program/pt2_arguments.hpp"

#include <ATen/ATen.h>

#include <map>
#include <vector>

#include "base/fail.hpp"
#include "program/pt2_enums.hpp"
#include "program/pt2_tensors.hpp"

namespace incite {
namespace {

namespace jit = torch::jit;

/// Where an argument goes.
struct Destination {
  const c10::Argument& parameter;
  jit::Graph& graph;
  const Pt2Values& values;
  c10::Device device;

  /// The parameter's type, without Optional.
  c10::TypePtr type() const {
    const auto optional = parameter.type()->cast<c10::OptionalType>();
    return optional ? optional->getElementType() : parameter.type();
  }
  bool takes(c10::TypeKind kind) const { return type()->kind() == kind; }
  jit::Value* constant(const c10::IValue& content) const { return graph.insertConstant(content); }
  jit::Value* list(const c10::TypePtr& element, const std::vector<jit::Value*>& elements) const {
    return graph.insertNode(graph.createList(element, elements))->output();
  }
};

jit::Value* from_int(const JsonView& content, const Destination& place) {
  const int64_t number = content.integer();
  if (place.takes(c10::TypeKind::FloatType)) return place.constant(static_cast<double>(number));
  if (!place.takes(c10::TypeKind::ListType)) return place.constant(number);
  // One number stands for all of a list of known length, such as a stride.
  return place.constant(
      c10::List<int64_t>(std::vector<int64_t>(static_cast<size_t>(place.parameter.N().value_or(1)), number)));
}

jit::Value* from_ints(const JsonView& content, const Destination& place) {
  const auto list = place.type()->cast<c10::ListType>();
  if (list && list->getElementType()->kind() == c10::TypeKind::FloatType) {
    c10::List<double> numbers;
    for (const JsonView& item : content.items())
      numbers.push_back(item.real());
    return place.constant(numbers);
  }
  c10::List<int64_t> numbers;
  for (const JsonView& item : content.items())
    numbers.push_back(item.integer());
  return place.constant(numbers);
}

jit::Value* from_floats(const JsonView& content, const Destination& place) {
  c10::List<double> numbers;
  for (const JsonView& item : content.items())
    numbers.push_back(item.real());
  return place.constant(numbers);
}

jit::Value* from_bools(const JsonView& content, const Destination& place) {
  c10::List<bool> flags;
  for (const JsonView& item : content.items())
    flags.push_back(item.boolean());
  return place.constant(flags);
}

jit::Value* from_tensor(const JsonView& content, const Destination& place) {
  return value_of(place.values, content.at("name"));
}

jit::Value* from_tensors(const JsonView& content, const Destination& place) {
  std::vector<jit::Value*> elements;
  for (const JsonView& item : content.items())
    elements.push_back(from_tensor(item, place));
  const auto list = place.type()->cast<c10::ListType>();  // of x[i]: Tensor?[]
  const bool optional = list && list->getElementType()->kind() == c10::TypeKind::OptionalType;
  return place.list(optional ? c10::TypePtr(c10::OptionalType::ofTensor()) : c10::TensorType::get(), elements);
}

jit::Value* from_optional_tensor(const JsonView& content, const Destination& place) {
  const auto [kind, value] = content.only();
  if (kind == "as_tensor") return from_tensor(value, place);
  if (kind == "as_none") return place.constant(c10::IValue());
  content.refuse(fmt::format("'{}'; expected as_tensor or as_none", printable(kind)));
}

jit::Value* from_optional_tensors(const JsonView& content, const Destination& place) {
  std::vector<jit::Value*> elements;
  for (const JsonView& item : content.items())
    elements.push_back(from_optional_tensor(item, place));
  return place.list(c10::OptionalType::ofTensor(), elements);
}

/// A number or truth value that may depend on the batch size: {"as_name": ...}, or the number itself.
jit::Value* from_symbol(const JsonView& content, const Destination& place) {
  const auto [kind, value] = content.only();
  if (kind == "as_name") return value_of(place.values, value);
  if (kind == "as_int") return from_int(value, place);
  if (kind == "as_float") return place.constant(value.real());
  if (kind == "as_bool") return place.constant(value.boolean());
  content.refuse(fmt::format("'{}'; expected as_name or a number", printable(kind)));
}

jit::Value* from_symbols(const JsonView& content, const Destination& place) {
  const auto list = place.type()->cast<c10::ListType>();
  const c10::TypePtr element = list ? list->getElementType() : c10::TypePtr(c10::IntType::get());
  std::vector<jit::Value*> elements;
  for (const JsonView& item : content.items()) {
    const auto [kind, value] = item.only();
    elements.push_back(kind == "as_int" ? place.constant(value.integer()) : from_symbol(item, place));
  }
  return place.list(element, elements);
}

[[noreturn]] void refuse_number(const JsonView& content, const char* what) {
  fail(ExitCode::unsupported, "{}: {} {} of PyTorch's archive is not known to incite", content.where(), what,
       content.integer());
}

jit::Value* from_type(const JsonView& content, const Destination& place) {
  const auto type = type_of_pt2(content.integer());
  if (!type) refuse_number(content, "type");
  return place.constant(static_cast<int64_t>(*type));
}

jit::Value* from_memory_format(const JsonView& content, const Destination& place) {
  const auto format = memory_format_of_pt2(content.integer());
  if (!format) refuse_number(content, "memory format");
  return place.constant(static_cast<int64_t>(*format));
}

jit::Value* from_layout(const JsonView& content, const Destination& place) {
  const auto layout = layout_of_pt2(content.integer());
  if (!layout) refuse_number(content, "layout");
  return place.constant(static_cast<int64_t>(*layout));
}

jit::Value* from_device(const JsonView& content, const Destination& place) {
  check_device(content);
  return place.constant(place.device);
}

jit::Value* from_plain(const JsonView& content, const Destination& place, const char* kind) {
  const std::string name = kind;
  if (name == "as_none") return place.constant(c10::IValue());
  if (name == "as_float") return place.constant(content.real());
  if (name == "as_bool") return place.constant(content.boolean());
  return place.constant(content.text());
}

using From = jit::Value* (*)(const JsonView&, const Destination&);

const std::map<std::string, From>& rows() {
  static const std::map<std::string, From> all = {
      {"as_none", [](const JsonView& v, const Destination& p) { return from_plain(v, p, "as_none"); }},
      {"as_float", [](const JsonView& v, const Destination& p) { return from_plain(v, p, "as_float"); }},
      {"as_bool", [](const JsonView& v, const Destination& p) { return from_plain(v, p, "as_bool"); }},
      {"as_string", [](const JsonView& v, const Destination& p) { return from_plain(v, p, "as_string"); }},
      {"as_int", from_int},
      {"as_ints", from_ints},
      {"as_floats", from_floats},
      {"as_bools", from_bools},
      {"as_tensor", from_tensor},
      {"as_tensors", from_tensors},
      {"as_optional_tensor", from_optional_tensor},
      {"as_optional_tensors", from_optional_tensors},
      {"as_sym_int", from_symbol},
      {"as_sym_float", from_symbol},
      {"as_sym_bool", from_symbol},
      {"as_sym_ints", from_symbols},
      {"as_sym_floats", from_symbols},
      {"as_sym_bools", from_symbols},
      {"as_scalar_type", from_type},
      {"as_memory_format", from_memory_format},
      {"as_layout", from_layout},
      {"as_device", from_device},
  };
  return all;
}

/// What kinds of arguments mean that incite can't take, for messages.
std::string meaning_of(const std::string& kind) {
  static const std::map<std::string, std::string> meanings = {
      {"as_graph", "a graph, as control flow such as torch.cond or map writes it; write forward without it"},
      {"as_custom_obj", "a custom object; write forward with tensors alone"},
      {"as_complex", "a complex number; write forward with real numbers"},
  };
  const auto found = meanings.find(kind);
  return found == meanings.end()
             ? fmt::format("an argument of kind '{}', which is not known to incite", printable(kind))
             : found->second;
}

}  // namespace

jit::Value* value_of(const Pt2Values& values, const JsonView& name) {
  const auto found = values.find(name.text());
  if (found == values.end()) name.refuse(fmt::format("'{}' is made by no node before", printable(name.text())));
  return found->second;
}

jit::Value* operand_of(const JsonView& argument, const c10::Argument& parameter, jit::Graph& graph,
                       const Pt2Values& values, c10::Device device) {
  const auto [kind, content] = argument.only();
  const auto row = rows().find(kind);
  if (row == rows().end()) fail(ExitCode::unsupported, "{}: {}", argument.where(), meaning_of(kind));
  return row->second(content, {parameter, graph, values, device});
}

c10::IValue plain_constant(const JsonView& argument) {
  const auto [kind, content] = argument.only();
  if (kind == "as_none") return {};
  if (kind == "as_int") return content.integer();
  if (kind == "as_float") return content.real();
  if (kind == "as_bool") return content.boolean();
  if (kind == "as_string") return content.text();
  fail(ExitCode::unsupported, "{}: {}", argument.where(), meaning_of(kind));
}

}  // namespace incite
