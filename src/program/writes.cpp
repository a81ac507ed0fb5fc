// Views and in-place writes while specialising: writes become operations that return new tensors.

#include <algorithm>
#include <set>

#include "program/specialiser.hpp"

namespace incite {

bool writes(const c10::FunctionSchema& schema) {
  return std::any_of(schema.arguments().begin(), schema.arguments().end(), [](const c10::Argument& argument) {
    return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
  });
}

bool any_writes(const jit::Block* block) {
  for (const jit::Node* node : block->nodes()) {
    const auto* schema = node->maybeSchema();
    const bool tensor = !node->inputs().empty() && node->input(0)->type()->isSubtypeOf(*c10::TensorType::get());
    if (tensor && schema != nullptr && writes(*schema)) return true;
    for (const jit::Block* inner : node->blocks()) {
      if (any_writes(inner)) return true;
    }
  }
  return false;
}

void Specialiser::note_view(const jit::Node* node, const std::string& op, const std::string& overload,
                            const Known& made) {
  if (!writes_ || !made.is_tensor() || !made.at[0].toTensor().defined() || node->inputs().empty()) return;
  const Known& base = known_.at(node->input(0));
  if (!base.is_tensor() || !base.at[0].toTensor().defined()) return;
  if (!made.at[0].toTensor().is_alias_of(base.at[0].toTensor()) || identity(made) == identity(base)) return;
  View view{base, op, overload, {}};
  for (size_t i = 1; i < node->inputs().size(); ++i)
    view.arguments.push_back(known_.at(node->input(i)));
  remember(made, std::move(view));
}

void Specialiser::remember(const Known& made, View view) {
  alive_.push_back(made);
  views_.insert_or_assign(identity(made), std::move(view));
}

void Specialiser::supersede(const Known& before, const Known& after) {
  alive_.push_back(before);
  newest_.insert_or_assign(identity(before), after);
}

Known Specialiser::apply(const jit::Node* node, const std::string& op, const std::string& overload,
                         std::vector<Known> inputs) {
  const Operation operation = find_operation(op, overload);
  Known made;
  made.type = c10::TensorType::get();
  for (size_t s = 0; s < 2; ++s) {
    std::vector<c10::IValue> stack;
    for (const Known& input : inputs)
      stack.push_back(materialise(input, static_cast<int>(s)));
    operation(stack);
    made.at[s] = stack[0];
  }
  for (const Known& input : inputs) {
    made.content = made.content || depends(input, &Known::content);
    made.parameter = made.parameter || depends(input, &Known::parameter);
  }
  if (!made.content && !made.parameter && same(made.at[0], made.at[1])) return made;
  std::vector<ValueId> operands;
  for (Known& input : inputs)
    operands.push_back(operand(input));
  made.emitted = program_.append(make_node(program_, op, overload, std::move(operands), source_of(node), made.type));
  return made;
}

Known Specialiser::integer(int64_t value) {
  Known known;
  known.type = c10::IntType::get();
  known.at = {value, value};
  return known;
}

Known Specialiser::write_back(const jit::Node* node, const View& view, const Known& written) {
  if (view.op == "aten::slice" || view.op == "aten::select") {
    std::vector<Known> inputs = {view.base, written};
    inputs.insert(inputs.end(), view.arguments.begin(), view.arguments.end());
    return apply(node, view.op + "_scatter", "", std::move(inputs));
  }
  if (view.op == "aten::narrow") {
    const auto dimension = fixed_int(view.arguments[0]);
    const auto first = fixed_int(view.arguments[1]);
    const auto length = fixed_int(view.arguments[2]);
    if (dimension && first && length && *first >= 0) {
      return apply(node, "aten::slice_scatter", "",
                   {view.base, written, integer(*dimension), integer(*first), integer(*first + *length), integer(1)});
    }
  }
  if (view.op == "aten::transpose") {
    return apply(node, view.op, view.overload, {written, view.arguments[0], view.arguments[1]});
  }
  if (view.op == "aten::squeeze" && view.overload == "dim") {
    return apply(node, "aten::unsqueeze", "", {written, view.arguments[0]});
  }
  if (view.op == "aten::squeeze" && view.overload == "dims") {
    Known whole = written;
    for (const int64_t axis : materialise(view.arguments[0], 0).toIntVector())  // ascending
      whole = apply(node, "aten::unsqueeze", "", {whole, integer(axis)});
    return whole;
  }
  if (view.op == "aten::unsqueeze") return apply(node, "aten::squeeze", "dim", {written, view.arguments[0]});
  if (view.op == "aten::permute") {
    const std::vector<int64_t> order = materialise(view.arguments[0], 0).toIntVector();
    const auto rank = static_cast<int64_t>(order.size());
    std::vector<Known> inverse(order.size());
    for (int64_t axis = 0; axis < rank; ++axis)
      inverse[static_cast<size_t>((order[static_cast<size_t>(axis)] + rank) % rank)] = integer(axis);
    return apply(node, view.op, "", {written, container(c10::ListType::ofInts(), std::move(inverse))});
  }
  if (view.op == "aten::view" || view.op == "aten::reshape" || view.op == "aten::flatten") {
    return apply(node, "aten::reshape_as", "", {written, view.base});
  }
  if (view.op == "aten::detach" || view.op == "aten::alias") return written;
  refuse(node, fmt::format("incite does not support in-place writes to the result of {}; write it without in-place "
                           "operations",
                           view.op));
}

void Specialiser::replace(const jit::Node* node, const Known& before, Known& after) {
  std::set<const void*> done;
  const at::Tensor written = before.at[0].toTensor();
  const std::string source = source_of(node);
  bool others = false;
  for (auto& [value, known] : known_)
    others = rebind(known, written, after, source, done) || others;
  const auto found = views_.find(identity(before));
  // Only another view would ever ask what became of the tensor; kept for none, activations would pile up.
  if (others || found != views_.end()) supersede(before, after);
  if (found == views_.end()) return;
  View view = found->second;
  view.base = current(view.base, node);
  Known base = write_back(node, view, after);
  replace(node, view.base, base);
  view.base = base;
  remember(after, std::move(view));
}

Known Specialiser::current(Known known, const jit::Node* reader) {
  for (auto newer = newest_.find(identity(known)); newer != newest_.end(); newer = newest_.find(identity(known)))
    known = newer->second;
  if (known.stale.empty()) {
    const auto view = views_.find(identity(known));
    if (view == views_.end() || !is_outdated(view->second.base)) return known;
  }
  const auto view = views_.find(identity(known));
  if (view == views_.end()) {
    refuse(reader,
           fmt::format("a value is read after {} wrote to part of it in place; write it without in-place operations",
                       known.stale));
  }
  View again = view->second;
  again.base = current(again.base, reader);
  std::vector<Known> inputs = {again.base};
  inputs.insert(inputs.end(), again.arguments.begin(), again.arguments.end());
  Known made = apply(reader, again.op, again.overload, std::move(inputs));
  supersede(known, made);
  remember(made, std::move(again));
  return made;
}

bool Specialiser::is_outdated(const Known& known) const {
  if (newest_.contains(identity(known))) return true;
  const auto view = views_.find(identity(known));
  return view != views_.end() && is_outdated(view->second.base);
}

void Specialiser::run_in_place(const jit::Node* node, const std::string& op, const c10::FunctionSchema& schema) {
  const Known target = use(node->input(0), node);
  const bool only_first =
      schema.arguments()[0].alias_info() != nullptr && schema.arguments()[0].alias_info()->isWrite();
  if (!target.is_tensor() || !only_first || node->outputs().size() != 1) {
    refuse(node,
           fmt::format("incite does not support the in-place write of {}; use an operation that returns a new tensor",
                       op));
  }
  bool content = false;
  bool parameter = false;
  for (const jit::Value* input : node->inputs()) {
    content = content || depends(known_.at(input), &Known::content);
    parameter = parameter || depends(known_.at(input), &Known::parameter);
  }
  check_not_parameter(node, op, target);
  if (target.emitted < 0 && !content && !parameter) {  // a constant stays one
    const auto outputs = execute(node, operation_of(node));
    Known result = target;
    result.at = {outputs[0][0], outputs[1][0]};
    set(node->output(), std::move(result));
    return;
  }
  if (!op.ends_with('_')) {
    refuse(node,
           fmt::format("incite does not support the in-place write of {}; use an operation that returns a new tensor",
                       op));
  }
  if (op == "aten::copy_" && known_.at(node->input(1)).is_tensor()) {
    // aten::copy has no derivative.
    Known written = use(node->input(1), node);
    if (written.at[0].toTensor().dtype() != target.at[0].toTensor().dtype())
      written = apply(node, "aten::type_as", "", {written, target});
    written = apply(node, "aten::expand_as", "", {written, target});
    replace(node, target, written);
    return set(node->output(), std::move(written));
  }
  const std::string functional = op.substr(0, op.size() - 1);
  Operation operation;
  try {
    operation = find_operation(functional, schema.overload_name());
  } catch (const std::logic_error&) {
    refuse(node, fmt::format("{} writes in place, and PyTorch has no such operation that returns a new tensor", op));
  }
  const auto outputs = execute(node, operation);
  for (size_t s = 0; s < 2; ++s) {
    if (outputs[s][0].toTensor().dtype() != target.at[s].toTensor().dtype() ||
        outputs[s][0].toTensor().sizes() != target.at[s].toTensor().sizes()) {
      refuse(node, fmt::format("{} writes in place into a tensor of another type or shape", op));
    }
  }
  emit(node, functional, schema.overload_name(), operation, outputs, content, parameter);
  Known result = known_.at(node->output());
  replace(node, target, result);
  set(node->output(), std::move(result));
}

void Specialiser::check_not_parameter(const jit::Node* node, const std::string& op, const Known& target) const {
  for (const Known* known = &target; known != nullptr;) {
    if (known->emitted >= 0 && program_.is_parameter(known->emitted)) {
      refuse(node, fmt::format("{} writes to the parameter '{}'; a model to decompose must not change itself", op,
                               program_.value(known->emitted).name));
    }
    const auto view = views_.find(identity(*known));
    known = view == views_.end() ? nullptr : &view->second.base;
  }
}

bool Specialiser::rebind(Known& known, const at::Tensor& written, const Known& result, const std::string& source,
                         std::set<const void*>& done) {
  if (known.elements) {
    if (!done.insert(known.elements.get()).second) return false;
    bool others = false;
    for (Known& element : *known.elements)
      others = rebind(element, written, result, source, done) || others;
    return others;
  }
  if (!known.at[0].isTensor() || !known.at[0].toTensor().defined()) return false;
  const at::Tensor& tensor = known.at[0].toTensor();
  if (!tensor.is_alias_of(written)) return false;
  const bool same_view = tensor.data_ptr() == written.data_ptr() && tensor.sizes() == written.sizes() &&
                         tensor.strides() == written.strides();
  if (same_view) {
    known = result;
  } else {
    known.stale = source;
  }
  return !same_view;
}

}  // namespace incite
