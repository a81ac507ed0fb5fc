// Lists, tuples and dicts while specialising: known element by element, and in the program only as operands.

#include <algorithm>

#include "program/specialiser.hpp"

namespace incite {

Known Specialiser::container(c10::TypePtr type, std::vector<Known> elements) {
  Known known;
  known.type = std::move(type);
  known.elements = std::make_shared<std::vector<Known>>(std::move(elements));
  return known;
}

std::shared_ptr<std::vector<Known>> Specialiser::elements_of(Known& known) {
  if (known.elements) return known.elements;
  const bool is_dict = known.at[0].isGenericDict();
  if (known.emitted >= 0 || (!known.at[0].isList() && !known.at[0].isTuple() && !is_dict)) return nullptr;
  if (is_dict) {
    known.keys = std::make_shared<std::vector<c10::IValue>>();
    for (const auto& entry : known.at[0].toGenericDict())
      known.keys->push_back(entry.key());
  }
  std::vector<Known> elements;
  const auto split = [&known](const c10::IValue& whole) -> std::vector<c10::IValue> {
    if (whole.isList()) return whole.toListRef().vec();
    if (whole.isGenericDict()) {
      std::vector<c10::IValue> values;
      for (const c10::IValue& key : *known.keys)
        values.push_back(whole.toGenericDict().at(key));
      return values;
    }
    return whole.toTupleRef().elements();
  };
  const auto first = split(known.at[0]);
  const auto second = split(known.at[1]);
  for (size_t i = 0; i < first.size(); ++i) {
    Known element;
    element.at = {first[i], second[i]};
    element.type = first[i].type();
    elements.push_back(std::move(element));
  }
  known.elements = std::make_shared<std::vector<Known>>(std::move(elements));
  return known.elements;
}

std::optional<int64_t> Specialiser::fixed_int(const Known& known) {
  if (known.elements || known.content || !known.at[0].isInt() || !same(known.at[0], known.at[1])) return std::nullopt;
  return known.at[0].toInt();
}

bool Specialiser::run_container(const jit::Node* node) {
  const std::string op = node->kind().toQualString();
  if (op == "prim::ListConstruct" || op == "prim::TupleConstruct") {
    std::vector<Known> elements;
    for (const jit::Value* input : node->inputs())
      elements.push_back(use(input, node));
    set(node->output(), container(node->output()->type(), std::move(elements)));
    return true;
  }
  if (op == "prim::DictConstruct") {
    run_dict_construct(node);
    return true;
  }
  if (op == "aten::size" && node->inputs().size() == 1) {
    run_sizes(node);
    return true;
  }
  if (node->inputs().empty()) return false;
  const auto elements = elements_of(use(node->input(0), node));
  if (!elements) return false;
  if (use(node->input(0), node).keys) return run_dict(node, op, use(node->input(0), node));

  if (op == "prim::ListUnpack" || op == "prim::TupleUnpack") {
    INCITE_ASSERT(elements->size() == node->outputs().size());
    for (size_t i = 0; i < elements->size(); ++i)
      set(node->output(i), (*elements)[i]);
    return true;
  }
  if (op == "aten::len") {
    Known length;
    length.at[0] = length.at[1] = static_cast<int64_t>(elements->size());
    set(node->output(), std::move(length));
    return true;
  }
  if (op == "aten::__getitem__" || op == "prim::TupleIndex" || op == "aten::_set_item") {
    const auto place = fixed_int(use(node->input(1), node));
    if (!place) refuse(node, "an index into a list depends on the data or on the batch size");
    const auto size = static_cast<int64_t>(elements->size());
    const int64_t index = *place < 0 ? *place + size : *place;
    if (index < 0 || index >= size) refuse(node, fmt::format("index {} into a list of {}", *place, size));
    Known& element = (*elements)[static_cast<size_t>(index)];
    if (op == "aten::_set_item") {
      element = use(node->input(2), node);
      if (!node->outputs().empty()) set(node->output(), use(node->input(0), node));
    } else {
      set(node->output(), element);
    }
    return true;
  }
  if (op == "aten::append") {
    elements->push_back(use(node->input(1), node));
    if (!node->outputs().empty()) set(node->output(), use(node->input(0), node));
    return true;
  }
  if (op == "aten::list") {
    set(node->output(), container(node->output()->type(), *elements));
    return true;
  }
  if (op == "aten::add" && node->output()->type()->kind() == c10::TypeKind::ListType) {
    const auto more = elements_of(use(node->input(1), node));
    std::vector<Known> both = *elements;
    both.insert(both.end(), more->begin(), more->end());
    set(node->output(), container(node->output()->type(), std::move(both)));
    return true;
  }
  if (op == "aten::slice") {
    run_list_slice(node, *elements);
    return true;
  }
  return false;
}

// ---- Dicts: as lists, with constant keys

c10::IValue Specialiser::constant_key(const jit::Value* value, const jit::Node* node) {
  const Known& key = use(value, node);
  if (key.elements || key.content || key.at[0].isTensor() || !same(key.at[0], key.at[1]))
    refuse(node, "a dict's key depends on the data or on the batch size");
  return key.at[0];
}

void Specialiser::put(const Known& dict, const c10::IValue& key, Known element) {
  const auto found = std::find(dict.keys->begin(), dict.keys->end(), key);
  if (found != dict.keys->end()) {
    (*dict.elements)[static_cast<size_t>(found - dict.keys->begin())] = std::move(element);
  } else {
    dict.keys->push_back(key);
    dict.elements->push_back(std::move(element));
  }
}

void Specialiser::run_dict_construct(const jit::Node* node) {
  Known dict = container(node->output()->type(), {});
  dict.keys = std::make_shared<std::vector<c10::IValue>>();
  for (size_t i = 0; i < node->inputs().size(); i += 2)
    put(dict, constant_key(node->input(i), node), use(node->input(i + 1), node));
  set(node->output(), std::move(dict));
}

Known Specialiser::known_constant(const c10::IValue& content) {
  Known known;
  known.at = {content, content};
  known.type = content.type();
  return known;
}

bool Specialiser::run_dict(const jit::Node* node, const std::string& op, const Known& dict) {
  if (op == "aten::_set_item") {
    put(dict, constant_key(node->input(1), node), use(node->input(2), node));
    return true;
  }
  if (op == "aten::__getitem__" || op == "aten::get" || op == "aten::__contains__") {
    const c10::IValue key = constant_key(node->input(1), node);
    const auto found = std::find(dict.keys->begin(), dict.keys->end(), key);
    const bool there = found != dict.keys->end();
    if (op == "aten::__contains__") {
      set(node->output(), known_constant(there));
    } else if (there) {
      set(node->output(), (*dict.elements)[static_cast<size_t>(found - dict.keys->begin())]);
    } else if (op == "aten::get") {
      set(node->output(), node->inputs().size() > 2 ? use(node->input(2), node) : known_constant({}));
    } else {
      refuse(node, "a key that is not in the dict");
    }
    return true;
  }
  if (op == "aten::len") {
    set(node->output(), known_constant(static_cast<int64_t>(dict.keys->size())));
    return true;
  }
  if (op == "aten::keys" || op == "aten::values" || op == "aten::items") {
    set(node->output(), list_of_dict(op, dict, node->output()->type()));
    return true;
  }
  return false;
}

Known Specialiser::list_of_dict(const std::string& op, const Known& dict, const c10::TypePtr& type) {
  std::vector<Known> elements;
  for (size_t i = 0; i < dict.keys->size(); ++i) {
    const Known key = known_constant((*dict.keys)[i]);
    const Known& value = (*dict.elements)[i];
    if (op == "aten::items") {
      elements.push_back(container(type->expectRef<c10::ListType>().getElementType(), {key, value}));
    } else {
      elements.push_back(op == "aten::keys" ? key : value);
    }
  }
  return container(type, std::move(elements));
}

void Specialiser::run_list_slice(const jit::Node* node, const std::vector<Known>& elements) {
  const auto size = static_cast<int64_t>(elements.size());
  const auto bound = [&](size_t input, int64_t otherwise) {
    const Known& known = use(node->input(input), node);
    if (!known.elements && known.at[0].isNone()) return otherwise;
    const auto fixed = fixed_int(known);
    if (!fixed) refuse(node, "a slice of a list depends on the data or on the batch size");
    return std::clamp<int64_t>(*fixed < 0 ? *fixed + size : *fixed, 0, size);
  };
  const auto step = fixed_int(use(node->input(3), node));
  if (!step || *step < 1) refuse(node, "a slice of a list with a step that is not a positive constant");
  std::vector<Known> part;
  const int64_t end = bound(2, size);
  for (int64_t i = bound(1, 0); i < end; i += *step)
    part.push_back(elements[static_cast<size_t>(i)]);
  set(node->output(), container(node->output()->type(), std::move(part)));
}

void Specialiser::run_sizes(const jit::Node* node) {
  Known& tensor = use(node->input(), node);
  const auto first = tensor.at[0].toTensor().sizes();
  const auto second = tensor.at[1].toTensor().sizes();
  if (first.size() != second.size()) refuse(node, "the number of dimensions depends on the batch size");
  std::vector<Known> sizes;
  for (size_t d = 0; d < first.size(); ++d) {
    Known size;
    size.type = c10::IntType::get();
    size.at = {first[d], second[d]};
    if (first[d] != second[d]) {
      size.emitted = program_.append(make_node(program_, "aten::size", "int",
                                               {operand(tensor), program_.add_constant(static_cast<int64_t>(d))},
                                               source_of(node), size.type));
    }
    sizes.push_back(std::move(size));
  }
  set(node->output(), container(node->output()->type(), std::move(sizes)));
}

}  // namespace incite
